// SPDX-License-Identifier: GPL-2.0-or-later
// Ownership of libnftnl's objects. Running out of memory throws std::bad_alloc here as everywhere else.
#pragma once

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <memory>
#include <new>

namespace wgsteer::nft {

template <auto release>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};

using TablePtr = std::unique_ptr<nftnl_table, Releaser<nftnl_table_free>>;
using ChainPtr = std::unique_ptr<nftnl_chain, Releaser<nftnl_chain_free>>;
using RulePtr = std::unique_ptr<nftnl_rule, Releaser<nftnl_rule_free>>;
using ExpressionPtr = std::unique_ptr<nftnl_expr, Releaser<nftnl_expr_free>>;
using SetPtr = std::unique_ptr<nftnl_set, Releaser<nftnl_set_free>>;
using ElementIteratorPtr = std::unique_ptr<nftnl_set_elems_iter, Releaser<nftnl_set_elems_iter_destroy>>;
using ExpressionIteratorPtr = std::unique_ptr<nftnl_expr_iter, Releaser<nftnl_expr_iter_destroy>>;
using ObjectPtr = std::unique_ptr<nftnl_obj, Releaser<nftnl_obj_free>>;

/// Takes ownership of the result of an nftnl_*_alloc().
template <class Ptr>
Ptr owned(typename Ptr::pointer object) {
  if (object == nullptr) throw std::bad_alloc();
  return Ptr(object);
}

inline TablePtr newTable() { return owned<TablePtr>(nftnl_table_alloc()); }
inline ChainPtr newChain() { return owned<ChainPtr>(nftnl_chain_alloc()); }
inline RulePtr newRule() { return owned<RulePtr>(nftnl_rule_alloc()); }
inline SetPtr newSet() { return owned<SetPtr>(nftnl_set_alloc()); }
inline ObjectPtr newObject() { return owned<ObjectPtr>(nftnl_obj_alloc()); }

}  // namespace wgsteer::nft
