/* Keeping within the budget. */
#include "config.h"

#include "cache/depot_priv.h"

void
depot_trim(struct depot *d, unsigned max_files)
{
}
