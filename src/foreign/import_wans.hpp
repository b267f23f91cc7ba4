// SPDX-License-Identifier: GPL-2.0-or-later
// The part of an import that converts mwan3's interfaces to WANs.
#pragma once

#include <map>
#include <string>

#include "foreign/import_mwan3.hpp"

namespace wgsteer::foreign {

struct ImportedWans {
  config::Sections sections;                 ///< in the order of preference
  std::map<std::string, std::string> names;  ///< from mwan3's interface to the WAN; wan and wan6 are one
};

ImportedWans importWans(const Mwan3& mwan3, const Network& network, WanBy by, config::Problems& notes);

}  // namespace wgsteer::foreign
