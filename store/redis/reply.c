/* hiredis's reader with functions of ours, so that nothing is copied and nothing is built.
 *
 * Invariant: it holds one reply that is not whole, of at most REPLY_MAX bytes. */
#include "config.h"

#include "store/redis/reply.h"

#include <errno.h>
#include <hiredis.h>

#include "store/lib.h"

/* Its structures differ between versions: only the one whose headers were there will do. */
#define HIREDIS_FILE "libhiredis.so." LIB_TEXT(HIREDIS_SONAME)

#define FUNCTIONS(X)                      \
	X(redisReaderCreateWithFunctions) \
	X(redisReaderFree) X(redisReaderFeed) X(redisReaderGetReply)
static struct {
	FUNCTIONS(LIB_POINTER)
} lib;

struct replies {
	redisReader *reader;
	reply_fn fn;
	void *arg;
	size_t since; /* bytes that were fed since the last reply */
};

/* What the reader takes for an object. */
static char whole;

static void *
tell(const redisReadTask *task, const struct reply *reply)
{
	struct replies *r = task->privdata;

	/* arrays are refused, so none is inside another */
	r->since = 0;
	r->fn(r->arg, reply);
	return &whole;
}

static void *
on_string(const redisReadTask *task, char *p, size_t n)
{
	struct reply r = { .kind = REPLY_BYTES, .p = p, .n = n };

	if (task->type == REDIS_REPLY_STATUS)
		r.kind = REPLY_OK;
	else if (task->type == REDIS_REPLY_ERROR)
		r.kind = REPLY_ERROR;
	else if (task->type != REDIS_REPLY_STRING)
		return NULL;
	return tell(task, &r);
}

static void *
on_integer(const redisReadTask *task, long long v)
{
	return tell(task, &(struct reply){ .kind = REPLY_INTEGER, .integer = v });
}

static void *
on_nil(const redisReadTask *task)
{
	return tell(task, &(struct reply){ .kind = REPLY_NOTHING });
}

/* Nothing that is asked is answered by one. */
static void *
on_array(const redisReadTask *task,
#if HIREDIS_MAJOR == 0
	int n)
#else
	size_t n)
#endif
{
	(void)task;
	(void)n;
	return NULL;
}

static void
on_free(void *p)
{
	(void)p;
}

static redisReplyObjectFunctions functions = {
	.createString = on_string,
	.createArray = on_array,
	.createInteger = on_integer,
	.createNil = on_nil,
	.freeObject = on_free,
};

int
replies_load(char **ret_why)
{
	static const char *const files[] = { HIREDIS_FILE, NULL };
	static const struct lib_function wanted[] = { FUNCTIONS(LIB_FUNCTION) };

	return lib_load(files, wanted, ARRAY_LEN(wanted), ret_why);
}

int
replies_new(reply_fn fn, void *arg, struct replies **ret)
{
	struct replies *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->fn = fn;
	r->arg = arg;
	r->reader = lib.redisReaderCreateWithFunctions(&functions);
	if (r->reader == NULL) {
		free(r);
		return -ENOMEM;
	}
	r->reader->privdata = r;
	*ret = r;
	return 0;
}

void
replies_free(struct replies *r)
{
	if (r == NULL)
		return;
	lib.redisReaderFree(r->reader);
	free(r);
}

static int
feed(struct replies *r, const void *p, size_t n)
{
	void *object = NULL;

	r->since += n;
	if (lib.redisReaderFeed(r->reader, p, n) != REDIS_OK)
		return -ENOMEM;
	do {
		object = NULL;
		if (lib.redisReaderGetReply(r->reader, &object) != REDIS_OK)
			return -EPROTO;
		/* of kinds that nobody asked for newer readers make objects of their own */
		if (object != NULL && object != &whole)
			return -EPROTO;
	} while (object != NULL);
	return r->since > REPLY_MAX ? -EPROTO : 0;
}

int
replies_feed(struct replies *r, const void *p, size_t n)
{
	int e = 0;

	/* in parts, so that what belongs to the next reply is not counted to this one for long */
	for (size_t i = 0; i < n && e == 0; i += 65536)
		e = feed(r, (const char *)p + i, MIN2(n - i, (size_t)65536));
	return e;
}
