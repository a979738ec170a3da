/* Profiles, and the answers of AWS's services: what is taken fits into a header. */
#include "config.h"

#include "store/http/aws_answer.h"
#include "store/http/aws_profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_plain(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f)
			abort();
}

static void
check(int (*parse)(const void *text, size_t n, struct aws_key *ret), const void *data, size_t size)
{
	struct aws_key k = { .id = NULL };

	if (parse(data, size, &k) == 0) {
		if (!k.id || !k.secret || (k.token && k.expires == 0))
			abort();
		check_plain(k.id);
		check_plain(k.secret);
		check_plain(k.token);
	} else if (k.id) {
		abort();
	}
	aws_key_done(&k);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aws_profile p = { .found = false };
	char code[AWS_CODE_SIZE];

	check(aws_answer_xml, data, size);
	check(aws_answer_json, data, size);
	aws_answer_code(data, size, code);
	check_plain(code);
	if (aws_profile_add(&p, (const char *)data, size, "ci", true) == 0)
		(void)aws_profile_add(&p, (const char *)data, size, "ci", false);
	for (size_t i = 0; i < AWS_N_SETTINGS; i++)
		if (p.v[i] && (!*p.v[i] || strchr(p.v[i], '\n')))
			abort();
	aws_profile_done(&p);
	return 0;
}
