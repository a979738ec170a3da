/* The files of AWS's tools: ~/.aws/credentials and ~/.aws/config. A section is a profile:
 *
 *   [name]              in the credentials file
 *   [profile name]      in the configuration file; [default] is written without the word
 *   setting = value     what is indented belongs to the setting before, and is left out
 *   # a comment         also with ';', at the begin of a line */
#ifndef DRAY_STORE_HTTP_AWS_PROFILE_H
#define DRAY_STORE_HTTP_AWS_PROFILE_H

#include "common/base.h"

/* Settings that count. */
enum aws_setting {
	AWS_KEY_ID,
	AWS_SECRET,
	AWS_TOKEN,
	AWS_REGION,
	AWS_ROLE_ARN,
	AWS_ROLE_SESSION_NAME,
	AWS_WEB_IDENTITY_TOKEN_FILE,
	/* ways to get keys that are not known here: they are named when that fails */
	AWS_SOURCE_PROFILE,
	AWS_CREDENTIAL_SOURCE,
	AWS_CREDENTIAL_PROCESS,
	AWS_SSO_SESSION,
	AWS_SSO_START_URL,
	AWS_N_SETTINGS
};

struct aws_profile {
	bool found;
	char *v[AWS_N_SETTINGS]; /* NULL: not set */
};
void aws_profile_done(struct aws_profile *p);
const char *aws_setting_name(enum aws_setting s);

/* Adds a profile's settings from a file's text; what is set already stays. 0 or -ENOMEM. */
int aws_profile_add(
	struct aws_profile *p, const char *text, size_t n, const char *name, bool is_config);

#endif
