// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's headers of netfilter. They follow libc's <netinet/in.h>, or musl defines things twice, so they are
// included here alone, where no sorting of includes changes the order.
#pragma once

// clang-format off
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
// clang-format on
