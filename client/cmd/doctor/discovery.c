/* What the network says of coordinators, where the configuration goes by that. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <errno.h>
#include <stdio.h>

#include "common/text/show.h"
#include "discovery/find.h"
#include "discovery/list.h"

static void
say_one(struct doctor *d, const struct found_one *o)
{
	_cleanup_(freep) char *key = list_key(
		d->conf->client.coordinator_key, d->conf->client.cache_dir, o->fingerprint);

	if (key)
		doctor_say(d, GOOD, "discovery", "%s at %s has the fingerprint of %s", o->name,
			o->endpoint, key);
	else
		doctor_say(d, NOTE, "discovery",
			"%s at %s is not used: its key (%s) is none of coordinator_key", o->name,
			o->endpoint, o->fingerprint);
}

/* What builds go by. */
static void
say_file(struct doctor *d, struct found *f)
{
	char age[SHOW_SIZE];
	uint64_t ms;
	int r = find_read(d->conf->client.cache_dir, f, &ms);

	if (r == -EBADMSG) {
		doctor_say(d, BAD, "discovery",
			"what was found last, %s/found, cannot be read: remove that file",
			d->conf->client.cache_dir);
		return;
	}
	if (r < 0) {
		doctor_say(d, NOTE, "discovery",
			"no build has looked yet: the first one starts that, and does not wait");
		return;
	}
	show_time(ms * 1000, age);
	doctor_say(d, NOTE, "discovery", "builds go by what was found %s ago: %zu coordinator%s",
		age, f->n, f->n == 1 ? "" : "s");
}

void
doctor_check_discovery(struct doctor *d)
{
	_cleanup_(freep) struct found *f = calloc(1, sizeof(*f));
	int r;

	if (!d->conf->client.discovers || !f)
		return;
	if (!is_set(d->conf->client.coordinator_key))
		doctor_say(d, BAD, "discovery",
			"coordinator is auto, and coordinator_key names no key: nothing that is "
			"found is used (`dray discover`, then `dray login TOKEN`)");
	say_file(d, f);
	r = find_look(FIND_LOOK_MS, f);
	if (r < 0)
		doctor_say(d, BAD, "discovery", "dray-avahi %s%s",
			r == -ENOENT ? "is not installed, so nothing is found" : "failed: ",
			r == -ENOENT ? "" : strerror(-r));
	else if (*f->why)
		doctor_say(d, BAD, "discovery", "nothing can be found: %s", f->why);
	else if (f->n == 0)
		doctor_say(d, BAD, "discovery", "the network has no coordinator that is announced");
	for (size_t i = 0; r == 0 && i < f->n; i++)
		say_one(d, &f->v[i]);
}
