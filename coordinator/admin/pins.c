/* Toolchains that are pinned. Invariant: each id is there once. */
#include "config.h"

#include "coordinator/admin/pins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "coordinator/admin/kept.h"

#define FILE_MAX (1u << 17) /* more than PINS_MAX lines have */

static const struct kept_form form = { "dray-pins", "1", true };

void
pins_done(struct pins *p)
{
	free(p->v);
	*p = (struct pins){ NULL, 0 };
}

static bool
text_ok(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

const struct pin *
pins_find(const struct pins *p, const struct digest *id)
{
	for (size_t i = 0; i < p->n; i++)
		if (digest_eq(&p->v[i].id, id))
			return &p->v[i];
	return NULL;
}

int
pins_add(struct pins *p, const struct digest *id, const char *text)
{
	struct pin *v;

	if (!text_ok(text))
		return -EINVAL;
	if (pins_find(p, id))
		return 0;
	if (p->n == PINS_MAX)
		return -ENOSPC;
	v = reallocarray(p->v, p->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->v = v;
	v[p->n].id = *id;
	snprintf(v[p->n].text, sizeof(v[p->n].text), "%s", text);
	p->n++;
	return 0;
}

bool
pins_drop(struct pins *p, const struct digest *id)
{
	for (size_t i = 0; i < p->n; i++)
		if (digest_eq(&p->v[i].id, id)) {
			memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(*p->v));
			p->n--;
			return true;
		}
	return false;
}

static int
take_line(char *line, void *arg)
{
	struct pins *to = arg;
	char *hex = strsep(&line, " ");
	struct digest id;
	int r;

	if (!line || strlen(line) >= PIN_TEXT_SIZE || digest_parse(hex, &id) < 0 ||
		pins_find(to, &id))
		return -EBADMSG;
	r = pins_add(to, &id, line);
	return r == -ENOMEM ? r : r < 0 ? -EBADMSG : 0;
}

int
pins_parse(const char *text, size_t n, struct pins *ret)
{
	int r = kept_lines(&form, text, n, take_line, ret);

	if (r < 0)
		pins_done(ret);
	return r;
}

int
pins_load(const char *dir, struct pins *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = kept_read(dir, PINS_FILE, FILE_MAX, &b);

	return r <= 0 ? r : pins_parse((const char *)b.p, b.n, ret);
}

int
pins_save(const char *dir, const struct pins *p)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = kept_begin(&form, &b);

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		char hex[DIGEST_HEX_SIZE];

		digest_hex(&p->v[i].id, hex);
		r = buf_addf(&b, "%s %s\n", hex, p->v[i].text);
	}
	return r < 0 ? r : kept_write(dir, PINS_FILE, &b);
}
