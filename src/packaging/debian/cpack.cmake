# SPDX-License-Identifier: GPL-2.0-or-later
# Read by cpack before it packs: the same sources make the same package, dated by the release unless told otherwise.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  set(ENV{SOURCE_DATE_EPOCH} ${CPACK_WGSTEER_RELEASED})
endif()
