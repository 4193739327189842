// Error numbers of hypercalls (Xen public header errno.h); a hypercall returns them negated.

export const Errno = {
	EPERM: 1,
	ENOENT: 2,
	ESRCH: 3,
	E2BIG: 7,
	EBADF: 9,
	EAGAIN: 11,
	ENOMEM: 12,
	EACCES: 13,
	EFAULT: 14,
	EBUSY: 16,
	EEXIST: 17,
	ENODEV: 19,
	EINVAL: 22,
	ENOSPC: 28,
	ENOSYS: 38,
	ETIME: 62,
	EISCONN: 106,
} as const;
