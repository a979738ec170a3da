/* The sentence that goes with an error, for the code that logs or sends it. */
#ifndef DRAY_COMMON_TEXT_WHY_H
#define DRAY_COMMON_TEXT_WHY_H

#include "common/base.h"

/* Returns err; *ret_why is the sentence, the caller's to free, or NULL without memory. */
int why_set(char **ret_why, int err, const char *fmt, ...) _printf_(3, 4);

#endif
