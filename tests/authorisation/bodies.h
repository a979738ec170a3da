/* A message of each type, with a body that makes sense: what one that may send it would send. */
#ifndef DRAY_TESTS_AUTHORISATION_BODIES_H
#define DRAY_TESTS_AUTHORISATION_BODIES_H

#include "common/digest.h"
#include "proto/wire.h"

/* What is in the bodies; the strings are the caller's. */
struct bodies {
	char *role;		 /* as Hello says it */
	char *name;		 /* of the worker that registers */
	char *curve;		 /* its key */
	char *space;		 /* the namespace that is asked for; "": one's own */
	struct digest blob;	 /* what is looked for in the shared cache: another namespace's */
	struct digest toolchain; /* of jobs: nobody's, so that none is placed */
};

/* Calls send with it; the body is gone afterwards. */
void body_make(const struct bodies *b, const struct wire_info *info,
	void (*send)(void *arg, const ProtobufCMessage *body), void *arg);
/* What answers it, of a peer that may send it, whatever there is; 0: it may be that nothing does.
 */
enum wire_type body_answer(enum wire_type type);

#endif
