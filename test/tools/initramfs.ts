// An initramfs with busybox and an init script, as an uncompressed cpio archive.
// Reference: Linux, Documentation/driver-api/early-userspace/buffer-format.rst ("newc" format).

interface Entry {
	readonly path: string;
	readonly mode: number;
	readonly content: Uint8Array;
	/** Device numbers of a character device. */
	readonly device?: readonly [major: number, minor: number];
}

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
const LINK = 0o120777;
const CHARACTER_DEVICE = 0o020600;

function pad4(length: number): number {
	return (4 - (length % 4)) % 4;
}

/** The archive of the entries, in order, with its trailer. Every time stamp is 0 and every owner root, so that equal input gives equal bytes. */
export function cpioArchive(entries: readonly Entry[]): Uint8Array {
	const parts: Uint8Array[] = [];
	const text = new TextEncoder();
	const trailer: Entry = { path: "TRAILER!!!", mode: 0, content: new Uint8Array(0) };
	for (const [index, entry] of [...entries, trailer].entries()) {
		const name = text.encode(`${entry.path}\0`);
		const fields = [
			index + 1,
			entry.mode,
			0,
			0,
			1,
			0,
			entry.content.length,
			0,
			0,
			...(entry.device ?? [0, 0]),
			name.length,
			0,
		];
		const header = text.encode(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
		parts.push(header, name, new Uint8Array(pad4(header.length + name.length)));
		parts.push(entry.content, new Uint8Array(pad4(entry.content.length)));
	}
	const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}

const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
echo "GUEST-SHELL $(/bin/busybox uname -rm)"
exec /bin/busybox setsid /bin/busybox cttyhack /bin/busybox sh
`;

const APPLETS = [
	"sh",
	"ls",
	"cat",
	"echo",
	"mount",
	"ps",
	"dmesg",
	"uname",
	"md5sum",
	"poweroff",
	"free",
	"seq",
	"wc",
	"sort",
	"head",
];

/** The initramfs of the boot tests: a statically linked busybox, and an init that prints "GUEST-SHELL" and becomes a shell. */
export function busyboxInitramfs(busybox: Uint8Array): Uint8Array {
	const text = new TextEncoder();
	const directory = (path: string): Entry => ({ path, mode: DIRECTORY, content: new Uint8Array(0) });
	return cpioArchive([
		...["bin", "dev", "proc", "sys", "tmp", "etc", "root"].map(directory),
		{ path: "dev/console", mode: CHARACTER_DEVICE, content: new Uint8Array(0), device: [5, 1] },
		{ path: "bin/busybox", mode: PROGRAM, content: busybox },
		...APPLETS.map((name) => ({ path: `bin/${name}`, mode: LINK, content: text.encode("busybox") })),
		{ path: "init", mode: PROGRAM, content: text.encode(INIT) },
	]);
}
