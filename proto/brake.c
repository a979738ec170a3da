#include "config.h"

#include "proto/brake.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "common/base.h"

/* A filter of a TCP socket sees the segment from its TCP header on. */
#define TCP_DATA_OFFSET 12 /* its high four bits: the header's length in words of 4 bytes */
#define PASS 0xffffffffu

int
brake_set(int fd, int on)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_DATA_OFFSET),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, PASS),
	};
	const struct sock_fprog program = { ARRAY_LEN(code), code };
	int none = 0;

	if (on)
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
			       ? -errno
			       : 0;
	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)) < 0 ? -errno : 0;
}
