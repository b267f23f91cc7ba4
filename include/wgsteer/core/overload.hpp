// SPDX-License-Identifier: GPL-2.0-or-later
// A visitor out of lambdas, for std::visit.
#pragma once

namespace wgsteer {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};

}  // namespace wgsteer
