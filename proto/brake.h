/* Holds one TCP connection back: the kernel drops segments with data in them that come on it, and
 * takes all others (a socket filter, classic BPF). The other kernel sends them again by itself,
 * later and later, and lets its program write no more than a window of it meanwhile: so neither
 * libzmq nor we read, decrypt or keep what comes. What is written to the connection still leaves.
 *
 * For connections that libzmq reads, which cannot be told to read less. */
#ifndef DRAY_PROTO_BRAKE_H
#define DRAY_PROTO_BRAKE_H

/* On: 0 or -errno. Off: 0; -ENOENT: it was not on. */
int brake_set(int fd, int on);

#endif
