/* Invariant: where the configuration cannot be read, nothing of one user's own is made where others
 * can write. */
#include "config.h"

#include "client/wrap/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/wrap/farm_state.h"
#include "common/conf/conf.h"
#include "common/log/log.h"
#include "common/share.h"
#include "discovery/find.h"

/* Of paths, keeps only an absolute one: cargo runs the compiler in a package's directory, and a
 * relative one would be made there. */
static void
keep_variable(struct conf *conf, const char *key, const char *value)
{
	_cleanup_(freep) char *assignment = NULL;
	_cleanup_(freep) char *error = NULL;

	if (value && (*value == '/' || starts_with(value, "~/") || streq(key, "cache_group")) &&
		asprintf(&assignment, "client.%s=%s", key, value) >= 0)
		conf_set(conf, assignment, &error);
}

/* Whether it looks like one that a group shares. */
static bool
is_for_group(const char *dir)
{
	struct stat st;

	return dir && stat(dir, &st) == 0 && (st.st_mode & 07777) == SHARE_DIR_MODE;
}

/* Nothing of one user's own is made in a directory that is shared. That it is may stand in a file
 * which cannot be read, or with a group that is none. */
static void
keep_cache(struct conf *conf)
{
	const char *dir = getenv("DRAY_CACHE_DIR"), *group = getenv("DRAY_CACHE_GROUP");
	bool known = group && streq(group, "none");

	keep_variable(conf, "cache_group", group);
	if (known || conf->client.cache_group || !((group && *group) || is_for_group(dir)))
		keep_variable(conf, "cache_dir", dir);
}

/* For calls to come: this one goes by what was found before. */
static void
look_again(const struct conf *conf)
{
	const char *at = conf->client.coordinator;

	if (find_again(conf->client.cache_dir, at && *at ? FIND_FRESH_MS : FIND_LACK_MS, NULL))
		farm_state_expire(conf->client.cache_dir);
}

int
wrap_load_conf(struct conf **ret, char **ret_error)
{
	_cleanup_(freep) char *error = NULL;

	if (find_conf_load(ret, ret_error) == 0) {
		if ((*ret)->client.discovers)
			look_again(*ret);
		return 0;
	}
	log_error("%s", *ret_error ? *ret_error : "the configuration cannot be read");
	if (conf_parse("", 0, "defaults", ret, &error) < 0)
		return -ENOMEM;
	(*ret)->client.offload = OFFLOAD_NEVER;
	keep_cache(*ret);
	keep_variable(*ret, "job_log", getenv("DRAY_JOB_LOG"));
	return 0;
}
