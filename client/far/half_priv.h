/* What a farm half's threads share of the stores. */
#ifndef DRAY_CLIENT_FAR_HALF_PRIV_H
#define DRAY_CLIENT_FAR_HALF_PRIV_H

#include "client/far/ahead.h"
#include "client/far/believed.h"
#include "client/far/claims.h"
#include "client/far/farm.h"
#include "client/far/keep.h"
#include "client/far/refiller.h"
#include "client/far/serve.h"
#include "client/far/stores.h"
#include "client/far/upload.h"

struct far_half {
	const struct conf *conf;
	struct keep *keep;
	const struct far_farm *farm; /* NULL: there is none */
	struct stores *stores;	     /* NULL: they cannot be opened */
	struct believed *believed;
	char *off; /* why they cannot be opened; NULL: they are */
	char *tmp;
	struct claims *claims;
	struct ahead *ahead;	   /* NULL: there are no stores */
	struct upload *upload;	   /* NULL: nothing is uploaded */
	struct refiller *refiller; /* NULL: nothing is compiled again */
};

#endif
