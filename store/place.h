/* Far places by their URLs (url.h): which kind of place a scheme means. A program that includes
 * this links all of them; the libraries that they need are loaded when one is opened. */
#ifndef DRAY_STORE_PLACE_H
#define DRAY_STORE_PLACE_H

#include "store/store.h"

/* Of *in: all but where, disk and url, which is set from the text. A place that is not there is no
 * error yet: requests are. 0; -EINVAL, -ENOPKG and so on, and a sentence in *ret_why that shows no
 * secret, or NULL without memory. */
int place_open(const char *url, const struct store_in *in, struct store **ret, char **ret_why);

#endif
