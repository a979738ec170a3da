/* Sealing and opening (shared.h). Invariant: a result from shared_open is what a trusted producer
 * sealed for this key and namespace, byte by byte. */
#include "config.h"

#include "cache/shared_priv.h"

#include <errno.h>
#include <stdio.h>

#include "cache/key.h"
#include "common/text/why.h"
#include "proto/shared.pb-c.h"
#include "proto/unpack.h"

static const char magic[] = "drayshr1";
#define MAGIC_SIZE (sizeof(magic) - 1)
#define MAGIC_NAME 7 /* without the version */
static const char context[] = "dray shared result 1";

void
shared_entry_done(struct shared_entry *e)
{
	strv_done(&e->recipe);
	for (size_t i = 0; i < e->n; i++)
		buf_done(&e->sealed[i]);
	free(e->sealed);
	*e = (struct shared_entry)SHARED_ENTRY_INIT;
}

void
shared_entry_drop(struct shared_entry *e, size_t i)
{
	buf_done(&e->sealed[i]);
	memmove(e->sealed + i, e->sealed + i + 1, (e->n - i - 1) * sizeof(*e->sealed));
	e->n--;
}

/* ---- one result */

static void
sealed_freep(Dray__SharedResult **m)
{
	if (*m)
		dray__shared_result__free_unpacked(*m, NULL);
}

#define ROOM_OF_ENTRY \
	(8u << 20) /* beside its bytes, which sealed results are: for a recipe of tiny parts */

/* Anybody's bytes: NULL, too, if they would take more memory than most. */
static ProtobufCMessage *
decode(const ProtobufCMessageDescriptor *desc, const void *p, size_t n, size_t most)
{
	ProtobufCMessage *m = NULL;

	(void)unpack_within(desc, p, n, most, &m);
	return m;
}

/* NULL: it makes no sense, or there is no memory. */
static Dray__SharedResult *
unpack(const struct buf *sealed)
{
	_cleanup_(sealed_freep) Dray__SharedResult *m = NULL;

	if (sealed->n > SHARED_SEALED_MAX)
		return NULL;
	m = (Dray__SharedResult *)decode(
		&dray__shared_result__descriptor, sealed->p, sealed->n, unpack_most(sealed->n));
	if (!m || m->key.len != DIGEST_SIZE || m->producer.len != SIGN_KEY_SIZE ||
		m->signature.len != SIGNATURE_SIZE || m->namespace_.len > KEYS_NAME_MAX ||
		(m->kind != TRUST_WORKER && m->kind != TRUST_PUBLISHER))
		return NULL;
	return steal_ptr(m);
}

static int
add_field(struct buf *b, const void *p, size_t n)
{
	uint8_t length[8];
	int r;

	for (unsigned i = 0; i < 8; i++)
		length[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	r = buf_add(b, length, sizeof(length));
	return r < 0 || n == 0 ? r : buf_add(b, p, n);
}

/* What is signed. */
static int
signed_bytes(const Dray__SharedResult *m, struct buf *ret)
{
	const char *kind = trust_kind_name((enum trust_kind)m->kind);
	uint8_t time[8];
	int r = buf_reserve(ret, m->result.len + 512);

	for (unsigned i = 0; i < 8; i++)
		time[i] = (uint8_t)(m->time_s >> (56 - 8 * i));
	if (r == 0)
		r = buf_add(ret, context, sizeof(context));
	if (r == 0)
		r = add_field(ret, m->namespace_.data, m->namespace_.len);
	if (r == 0)
		r = add_field(ret, m->key.data, m->key.len);
	if (r == 0)
		r = add_field(ret, kind, strlen(kind));
	if (r == 0)
		r = add_field(ret, m->producer.data, m->producer.len);
	if (r == 0)
		r = add_field(ret, time, sizeof(time));
	return r < 0 ? r : add_field(ret, m->result.data, m->result.len);
}

/* The result alone, without how it was called, and by whom it was made. */
static int
encode_bare(const struct result *r, struct buf *ret)
{
	struct result bare = *r;

	bare.argv = bare.env = (struct strv)STRV_INIT;
	bare.cwd = bare.from = bare.producer = NULL;
	return result_encode(&bare, ret);
}

int
shared_seal(const struct shared_by *by, const struct digest *key, const struct result *r,
	struct buf *ret, char **ret_why)
{
	_cleanup_(buf_done) struct buf bare = BUF_INIT, b = BUF_INIT;
	Dray__SharedResult m = DRAY__SHARED_RESULT__INIT;
	uint8_t sig[SIGNATURE_SIZE];
	struct digest k = *key;
	int err = shared_may(by, r, ret_why);

	if (err == 0)
		err = encode_bare(r, &bare);
	if (err < 0)
		return err;
	m.namespace_ = (ProtobufCBinaryData){ strlen(by->namespace), (uint8_t *)by->namespace };
	m.key = (ProtobufCBinaryData){ DIGEST_SIZE, k.b };
	m.kind = by->kind;
	m.producer = (ProtobufCBinaryData){ SIGN_KEY_SIZE, (uint8_t *)by->id->sign_public };
	m.time_s = by->time_s;
	m.result = (ProtobufCBinaryData){ bare.n, bare.p };
	m.signature = (ProtobufCBinaryData){ SIGNATURE_SIZE, sig };
	if (m.namespace_.len > KEYS_NAME_MAX ||
		dray__shared_result__get_packed_size(&m) > SHARED_SEALED_MAX)
		return why_set(ret_why, -EFBIG, "it is larger than what is shared");
	err = signed_bytes(&m, &b);
	if (err == 0)
		err = identity_sign(by->id, b.p, b.n, sig);
	if (err == 0)
		err = buf_reserve(ret, dray__shared_result__get_packed_size(&m));
	if (err == 0)
		ret->n += dray__shared_result__pack(&m, ret->p + ret->n);
	return err;
}

static bool
is_for(const Dray__SharedResult *m, const struct digest *key, const char *namespace)
{
	return memcmp(m->key.data, key->b, DIGEST_SIZE) == 0 &&
	       m->namespace_.len == strlen(namespace) &&
	       (m->namespace_.len == 0 ||
		       memcmp(m->namespace_.data, namespace, m->namespace_.len) == 0);
}

static int
check_seal(const Dray__SharedResult *m, const struct digest *key,
	const struct shared_reader *reader, char **ret_why)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	enum trust_verdict v;
	int r;

	if (!is_for(m, key, reader->namespace))
		return why_set(
			ret_why, -EKEYREJECTED, "it is another key's, or another namespace's");
	v = trust_judge(
		reader->trust, m->producer.data, (enum trust_kind)m->kind, reader->namespace);
	if (v != TRUST_OK)
		return why_set(ret_why, -EACCES, "%s", trust_verdict_text(v));
	r = signed_bytes(m, &b);
	if (r < 0)
		return r;
	return identity_verify(m->producer.data, b.p, b.n, m->signature.data)
		       ? 0
		       : why_set(ret_why, -EKEYREJECTED, "its signature is wrong");
}

/* What is decoded is as a stranger's. */
static int
take_result(const Dray__SharedResult *m, struct result *ret, char **ret_why)
{
	int r = result_decode(m->result.data, m->result.len, ret);

	if (r < 0)
		return r == -ENOMEM ? r : why_set(ret_why, -EBADMSG, "it may not be put in place");
	if (ret->argv.n || ret->env.n || ret->cwd || ret->producer || *ret->from)
		return why_set(ret_why, -EBADMSG, "it says what is not shared");
	r = shared_check_form((enum trust_kind)m->kind, ret, ret_why);
	return r == -EPERM ? -EBADMSG : r;
}

static int
name_producer(const Dray__SharedResult *m, struct result *ret)
{
	struct digest key;
	char hex[DIGEST_HEX_SIZE];

	_Static_assert(SIGN_KEY_SIZE == DIGEST_SIZE, "both are written as 64 digits");
	memcpy(key.b, m->producer.data, SIGN_KEY_SIZE);
	digest_hex(&key, hex);
	ret->producer = strdup(hex);
	free(ret->from);
	ret->from = strdup("shared");
	return ret->producer && ret->from ? 0 : -ENOMEM;
}

static void
tell_seal(const Dray__SharedResult *m, struct shared_seal *ret)
{
	ret->kind = (enum trust_kind)m->kind;
	ret->time_s = m->time_s;
	memcpy(ret->producer, m->producer.data, SIGN_KEY_SIZE);
}

int
shared_open(const struct shared_entry *e, size_t i, const struct shared_reader *reader,
	struct result *ret, struct shared_seal *ret_seal, char **ret_why)
{
	_cleanup_(sealed_freep) Dray__SharedResult *m = unpack(&e->sealed[i]);
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(freep) char *why = NULL;
	int r = m ? check_seal(m, &e->key, reader, &why)
		  : why_set(&why, -EBADMSG, "it is no sealed result");

	if (r == 0)
		r = take_result(m, &res, &why);
	if (r == 0)
		r = name_producer(m, &res);
	if (ret_why)
		*ret_why = steal_ptr(why);
	if (r < 0)
		return r;
	*ret = res;
	res = (struct result)RESULT_INIT;
	if (ret_seal)
		tell_seal(m, ret_seal);
	return 0;
}

int
shared_peek(const struct shared_entry *e, size_t i, struct shared_seal *ret)
{
	_cleanup_(sealed_freep) Dray__SharedResult *m = unpack(&e->sealed[i]);

	if (!m)
		return -EBADMSG;
	tell_seal(m, ret);
	return 0;
}

int
shared_compile_us(const struct shared_entry *e, size_t i, uint64_t *ret)
{
	_cleanup_(sealed_freep) Dray__SharedResult *m = unpack(&e->sealed[i]);
	struct result result = RESULT_INIT;
	int r;

	if (!m)
		return -EBADMSG;
	r = result_decode(m->result.data, m->result.len, &result);
	if (r == 0)
		*ret = MIN2(result.compile_us, (uint64_t)SHARED_COMPILE_US_MAX);
	result_done(&result);
	return r;
}

int
shared_look(
	const struct shared_entry *e, size_t i, struct shared_said *ret, struct result *ret_result)
{
	_cleanup_(sealed_freep) Dray__SharedResult *m = unpack(&e->sealed[i]);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	if (!m || (m->namespace_.len && memchr(m->namespace_.data, '\0', m->namespace_.len)))
		return -EBADMSG;
	r = signed_bytes(m, &b);
	if (r == 0)
		r = result_decode(m->result.data, m->result.len, ret_result);
	if (r < 0)
		return r;
	snprintf(ret->namespace, sizeof(ret->namespace), "%.*s", (int)m->namespace_.len,
		m->namespace_.len ? (const char *)m->namespace_.data : "");
	tell_seal(m, &ret->seal);
	ret->right = memcmp(m->key.data, e->key.b, DIGEST_SIZE) == 0 &&
		     identity_verify(m->producer.data, b.p, b.n, m->signature.data);
	return 0;
}

/* ---- an entry */

static bool
is_same(const struct buf *a, const struct buf *b)
{
	return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

/* Whether the new one stands for the old one: both are of one producer, who saw the same inputs. */
static bool
replaces(const Dray__SharedResult *new, const struct result *made, const struct buf *old)
{
	_cleanup_(sealed_freep) Dray__SharedResult *m = unpack(old);
	_cleanup_(result_done) struct result res = RESULT_INIT;

	if (!m || result_decode(m->result.data, m->result.len, &res) < 0)
		return true;
	return memcmp(m->producer.data, new->producer.data, SIGN_KEY_SIZE) == 0 &&
	       m->namespace_.len == new->namespace_.len &&
	       (m->namespace_.len == 0 ||
		       memcmp(m->namespace_.data, new->namespace_.data, m->namespace_.len) == 0) &&
	       inputs_equal(&res.inputs, &made->inputs);
}

int
shared_entry_add(struct shared_entry *e, const struct buf *sealed)
{
	_cleanup_(sealed_freep) Dray__SharedResult *m = unpack(sealed);
	_cleanup_(result_done) struct result made = RESULT_INIT;
	struct buf *v, copy = BUF_INIT;

	if (!m || memcmp(m->key.data, e->key.b, DIGEST_SIZE) != 0 ||
		result_decode(m->result.data, m->result.len, &made) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < e->n; i++)
		if (is_same(&e->sealed[i], sealed))
			return 0;
	v = reallocarray(e->sealed, e->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	e->sealed = v;
	if (buf_add(&copy, sealed->p, sealed->n) < 0)
		return -ENOMEM;
	for (size_t i = e->n; i-- > 0;)
		if (replaces(m, &made, &e->sealed[i]))
			shared_entry_drop(e, i);
	while (e->n >= SHARED_RESULTS_MAX)
		shared_entry_drop(e, e->n - 1);
	memmove(v + 1, v, e->n * sizeof(*v));
	v[0] = copy;
	e->n++;
	return 0;
}

/* ---- its bytes */

static void
entry_freep(Dray__SharedEntry **m)
{
	if (*m)
		dray__shared_entry__free_unpacked(*m, NULL);
}

static int
take_recipe(const Dray__SharedEntry *m, struct shared_entry *to)
{
	size_t bytes = 0;
	struct digest d;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_recipe; i++) {
		const ProtobufCBinaryData *part = &m->recipe[i];

		bytes += part->len + sizeof(char *);
		if (bytes > SHARED_RECIPE_MAX || part->len == 0 ||
			memchr(part->data, '\0', part->len))
			return -EBADMSG;
		r = strv_addn(&to->recipe, (const char *)part->data, part->len);
	}
	if (r < 0 || m->n_recipe == 0)
		return r;
	r = unit_key_of_recipe(&to->recipe, &d);
	return r == 0 && !digest_eq(&d, &to->key) ? -EBADMSG : r;
}

static int
take_sealed(const Dray__SharedEntry *m, struct shared_entry *to)
{
	to->sealed = calloc(m->n_sealed + 1, sizeof(*to->sealed));
	if (!to->sealed)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_sealed; i++) {
		const ProtobufCBinaryData *d = &m->sealed[i];

		if (d->len == 0 || d->len > SHARED_SEALED_MAX)
			return -EBADMSG;
		if (buf_add(&to->sealed[to->n++], d->data, d->len) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
check_magic(const void *p, size_t n)
{
	if (n < MAGIC_SIZE || memcmp(p, magic, MAGIC_NAME) != 0)
		return -EBADMSG;
	return memcmp(p, magic, MAGIC_SIZE) == 0 ? 0 : -EPROTONOSUPPORT;
}

int
shared_entry_decode(const void *p, size_t n, const struct digest *key, struct shared_entry *ret)
{
	_cleanup_(entry_freep) Dray__SharedEntry *m = NULL;
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	int r = check_magic(p, n);

	if (r < 0)
		return r;
	if (n > SHARED_MAX)
		return -EBADMSG;
	m = (Dray__SharedEntry *)decode(&dray__shared_entry__descriptor,
		(const uint8_t *)p + MAGIC_SIZE, n - MAGIC_SIZE, n + ROOM_OF_ENTRY);
	if (!m || m->key.len != DIGEST_SIZE || memcmp(m->key.data, key->b, DIGEST_SIZE) != 0 ||
		m->n_sealed > SHARED_RESULTS_MAX)
		return -EBADMSG;
	e.key = *key;
	r = take_recipe(m, &e);
	if (r == 0)
		r = take_sealed(m, &e);
	if (r < 0)
		return r;
	*ret = e;
	e = (struct shared_entry)SHARED_ENTRY_INIT;
	return 0;
}

/* Without a recipe that is too long. */
static void
pack_recipe(const struct shared_entry *e, ProtobufCBinaryData *v, Dray__SharedEntry *m)
{
	size_t bytes = 0;

	for (size_t i = 0; i < e->recipe.n; i++) {
		v[i] = (ProtobufCBinaryData){ strlen(e->recipe.v[i]), (uint8_t *)e->recipe.v[i] };
		bytes += v[i].len + sizeof(char *);
	}
	m->recipe = v;
	m->n_recipe = bytes <= SHARED_RECIPE_MAX ? e->recipe.n : 0;
}

int
shared_entry_encode(const struct shared_entry *e, struct buf *ret)
{
	_cleanup_(freep) ProtobufCBinaryData *recipe = calloc(e->recipe.n + 1, sizeof(*recipe));
	_cleanup_(freep) ProtobufCBinaryData *sealed = calloc(e->n + 1, sizeof(*sealed));
	Dray__SharedEntry m = DRAY__SHARED_ENTRY__INIT;
	struct digest key = e->key;
	size_t n;
	int r;

	if (!recipe || !sealed)
		return -ENOMEM;
	m.key = (ProtobufCBinaryData){ DIGEST_SIZE, key.b };
	pack_recipe(e, recipe, &m);
	for (size_t i = 0; i < e->n; i++)
		sealed[i] = (ProtobufCBinaryData){ e->sealed[i].n, e->sealed[i].p };
	m.sealed = sealed;
	m.n_sealed = e->n;
	while ((n = dray__shared_entry__get_packed_size(&m)) > SHARED_MAX - MAGIC_SIZE)
		if (m.n_sealed-- <= 1)
			return -EFBIG;
	r = buf_add(ret, magic, MAGIC_SIZE);
	if (r == 0)
		r = buf_reserve(ret, n);
	if (r == 0)
		ret->n += dray__shared_entry__pack(&m, ret->p + ret->n);
	return r;
}
