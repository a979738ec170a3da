/* dray keygen: makes an identity. Invariant: an existing identity is never overwritten. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "keys/identity.h"

static int
keygen(const char *name, const char *path)
{
	_cleanup_(identity_done) struct identity id;
	char sign[SIGN_HEX_SIZE];
	int r;

	memset(&id, 0, sizeof(id));
	r = identity_generate(name, &id);
	if (r == -EINVAL) {
		cmd_error(&cmd_keygen,
			"a name is 1 to 64 letters, digits, '.', '_' or '-', not \"%s\"", name);
		return CMD_USAGE;
	}
	if (r == 0)
		r = identity_save(&id, path);
	if (r < 0) {
		cmd_error(&cmd_keygen, "%s: %s%s", path, strerror(-r),
			r == -EEXIST   ? "; keygen overwrites nothing: name another file"
			: r == -ENOENT ? "; make its directory first"
				       : "");
		return CMD_FAILED;
	}
	identity_sign_hex(&id, sign);
	printf("%s: made for %s, readable by you alone\n"
	       "%s.pub: to be given to others\n"
	       "in the coordinator's allowed-keys file (not of its own key), after the role "
	       "(client, worker, ...):\n"
	       "  %s %s sign=%s\n",
		path, id.name, path, id.curve_public, id.name, sign);
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

static int
run(int argc, char **argv)
{
	char name[65];
	const char *given = NULL;
	const struct cmd_option options[] = { { .name = "name", .text = &given },
		{ .name = NULL } };
	int args, status;

	if (!cmd_options(&cmd_keygen, argc, argv, options, 1, 1, &args, &status))
		return status;
	identity_default_name(name);
	return keygen(given ? given : name, argv[args]);
}

const struct cmd cmd_keygen = {
	.name = "keygen",
	.usage = "keygen [--name NAME] FILE",
	.summary = "Make a key pair: FILE (secret, mode 0600) and FILE.pub",
	.help = "  --name NAME  what logs and admins see; this machine's name when not given\n"
		"  -h, --help   print this\n",
	.run = run,
};
