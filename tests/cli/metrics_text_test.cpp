// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/metrics_text.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace wgsteer {
namespace {

using Json = nlohmann::json;

Json statusOf(const std::string& wan) {
  return {{"pending", 0},
          {"daemon", nullptr},
          {"wans",
           {{{"name", wan},
             {"device", "eth0"},
             {"since", 1'700'000'000},
             {"by_hand", false},
             {"latency_ms", 12.5},
             {"loss_percent", nullptr},
             {"handshakes", {{"initiations", 4}, {"responses", 3}}},
             {"ipv4", {{"usable", true}, {"cannot_be_probed", true}}},
             {"ipv6", {{"usable", false}}}}}},
          {"policies", {{{"name", "default"}, {"ipv4", wan}, {"ipv6", ""}}}},
          {"tunnels",
           {{{"interface", "wg0"},
             {"peers",
              {{{"public_key", "K="},
                {"wan", nullptr},
                {"handshake_age", nullptr},
                {"stalled", nullptr},
                {"received", 5'000'000'000},
                {"sent", 7}}}}}}}};
}

bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, AreInBaseUnits) {
  const std::string text = metricsText(statusOf("fiber"));
  EXPECT_TRUE(has(text, "wgsteer_wan_latency_seconds{wan=\"fiber\",device=\"eth0\"} 0.0125")) << text;
  EXPECT_TRUE(has(text, "wgsteer_wan_up{wan=\"fiber\",device=\"eth0\",family=\"ipv4\"} 1"));
  EXPECT_TRUE(has(text, "wgsteer_wan_up{wan=\"fiber\",device=\"eth0\",family=\"ipv6\"} 0"));
  EXPECT_TRUE(has(text, "wgsteer_wan_probes_refused{wan=\"fiber\",device=\"eth0\",family=\"ipv4\"} 1"));
  EXPECT_TRUE(has(text, "wgsteer_wan_handshake_initiations_total{wan=\"fiber\",device=\"eth0\"} 4"));
  EXPECT_TRUE(has(text, "wgsteer_peer_received_bytes_total{interface=\"wg0\",public_key=\"K=\"} 5000000000"));
}

TEST(Metrics, WhatIsNotKnownHasNoSample) {
  const std::string text = metricsText(statusOf("fiber"));
  EXPECT_NE(text.find("# TYPE wgsteer_wan_loss_ratio gauge\n"), std::string::npos);
  EXPECT_EQ(text.find("\nwgsteer_wan_loss_ratio"), std::string::npos);
  EXPECT_EQ(text.find("\nwgsteer_peer_handshake_age_seconds"), std::string::npos);
  EXPECT_TRUE(has(text, "wgsteer_up 0"));
  EXPECT_EQ(text.find("wgsteer_failovers_total"), std::string::npos) << "nobody counts without a daemon";
}

TEST(Metrics, OfRulesAreThereWithRules) {
  Json status = statusOf("fiber");
  EXPECT_EQ(metricsText(status).find("wgsteer_rule"), std::string::npos);
  EXPECT_EQ(metricsText(status).find("wgsteer_exit"), std::string::npos);
  status["rules"] = {{{"name", "tv"}, {"connections", 7}}, {{"name", "new"}, {"connections", nullptr}}};
  status["exits"] = {{{"wan", "fiber"}, {"connections", 42}}, {{"wan", "lte"}, {"connections", nullptr}}};
  const std::string text = metricsText(status);
  EXPECT_TRUE(has(text, "wgsteer_rule_connections_total{rule=\"tv\"} 7")) << text;
  EXPECT_TRUE(has(text, "wgsteer_exit_connections{wan=\"fiber\"} 42"));
  EXPECT_EQ(text.find("rule=\"new\""), std::string::npos);
  EXPECT_EQ(text.find("{wan=\"lte\"}"), std::string::npos);
}

TEST(Metrics, NamesAreEscaped) {
  const std::string text = metricsText(statusOf("a\"b\\c\n\x1b[2Jd"));
  EXPECT_NE(text.find("wan=\"a\\\"b\\\\c\\\\x0a\\\\x1b[2Jd\""), std::string::npos) << text;
}

TEST(Metrics, AHistogramHasAllItsBucketsCumulated) {
  Json status = statusOf("fiber");
  status["daemon"] = {{"failovers", 2},
                      {"applied_us", {{"link", {{"count", 5}, {"sum", 1500}, {"buckets", {{"100", 1}, {"500", 4}}}}}}}};
  const std::string text = metricsText(status);
  const std::string bucket = "wgsteer_event_to_applied_seconds_bucket{kind=\"link\",le=\"";
  EXPECT_TRUE(has(text, bucket + "5e-05\"} 0")) << text;
  EXPECT_TRUE(has(text, bucket + "0.0001\"} 1"));
  EXPECT_TRUE(has(text, bucket + "0.0002\"} 1"));
  EXPECT_TRUE(has(text, bucket + "0.0005\"} 4"));
  EXPECT_TRUE(has(text, bucket + "10\"} 4"));
  EXPECT_TRUE(has(text, bucket + "+Inf\"} 5"));
  EXPECT_TRUE(has(text, "wgsteer_event_to_applied_seconds_sum{kind=\"link\"} 0.0015"));
  EXPECT_TRUE(has(text, "wgsteer_event_to_applied_seconds_count{kind=\"link\"} 5"));
  EXPECT_TRUE(has(text, "wgsteer_up 1"));
  EXPECT_TRUE(has(text, "wgsteer_failovers_total 2"));
}

}  // namespace
}  // namespace wgsteer
