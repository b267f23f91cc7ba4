// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/endpoint_text.hpp"

#include <gtest/gtest.h>

namespace wgsteer::cli {
namespace {

std::string wrong(const std::string& text, Family family, SourcePorts ports) {
  const auto source = sourceIn(text, family, ports);
  return source ? "" : source.error();
}

TEST(Source, OfAPacketMayHaveAPortIfAProtocolIsNamed) {
  const auto source = sourceIn("10.0.0.1:80", Family::v4, SourcePorts::yes);
  ASSERT_TRUE(source) << source.error();
  EXPECT_EQ(source->toString(), "10.0.0.1:80");
  EXPECT_EQ(sourceIn("10.0.0.1", Family::v4, SourcePorts::no)->port, 0);
  for (const auto& [text, family] : {std::pair{"10.0.0.1:80", Family::v4}, std::pair{"[2001:db8::1]:80", Family::v6}}) {
    EXPECT_EQ(wrong(text, family, SourcePorts::no),
              "a source port belongs to a packet of any traffic: name its protocol with --proto");
    EXPECT_EQ(wrong(text, family, SourcePorts::yes), "");
  }
}

TEST(Source, IsAnAddressOfTheDestinationsFamily) {
  for (const SourcePorts ports : {SourcePorts::no, SourcePorts::yes}) {
    EXPECT_EQ(wrong("2001:db8::1", Family::v4, ports), "not an address of the destination's family");
    EXPECT_EQ(wrong("10.0.0.1", Family::v6, ports), "not an address of the destination's family");
    for (const char* text : {"10.0.0", "up0", "10.0.0.1:x", "2001:db8::1]:80"})
      EXPECT_EQ(wrong(text, Family::v4, ports), "not an address") << text;
  }
}

}  // namespace
}  // namespace wgsteer::cli
