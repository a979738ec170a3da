#include "config.h"

#include "common/users.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>

#include "common/base.h"

#define USERS_FILE "/etc/passwd"

int
users_find(uid_t uid, char **ret_name, char **ret_home)
{
	_cleanup_(freep) char *name = NULL, *home = NULL;
	struct passwd pw, *found = NULL;
	char space[4096];
	FILE *users = fopen(USERS_FILE, "re");

	if (!users)
		return -ENOENT;
	while (fgetpwent_r(users, &pw, space, sizeof(space), &found) == 0 && pw.pw_uid != uid)
		found = NULL;
	if (found) {
		name = strdup(found->pw_name);
		home = strdup(found->pw_dir);
	}
	fclose(users);
	if (!found)
		return -ENOENT;
	if (!name || !home)
		return -ENOMEM;
	*ret_name = steal_ptr(name);
	*ret_home = steal_ptr(home);
	return 0;
}
