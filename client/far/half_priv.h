/* What a farm half's threads share of the stores. */
#ifndef DRAY_CLIENT_FAR_HALF_PRIV_H
#define DRAY_CLIENT_FAR_HALF_PRIV_H

#include "client/far/keep.h"
#include "client/far/serve.h"
#include "client/far/stores.h"
#include "client/far/upload.h"
#include "keys/trust.h"

struct far_half {
	const struct conf *conf;
	struct keep *keep;
	struct stores *stores; /* NULL: they cannot be opened */
	struct trust trust;
	char *off; /* why nothing is taken from them; NULL: it is */
	char *tmp;
	struct upload *upload; /* NULL: nothing is uploaded */
};

#endif
