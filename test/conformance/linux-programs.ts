// Runs programs for Linux, which the user has built, in a guest under `--vmm none`: Debian's amd64 kernel, each program in turn.
//
//   node --import tsx test/conformance/linux-programs.ts FOLDER [--i386] [--compare] [--seconds N]
//
// FOLDER holds statically linked programs of 32 or 64 bits, or scripts for busybox's shell that begin with #!; nothing is fetched but the
// kernel. --i386 takes Debian's 32-bit PAE kernel. With --compare the output of each has to be what it prints on this machine. The exit
// status is 1 when a program ends with another status than 0, or prints something else.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hyperscopeRun } from "../tools/command-line.ts";
import { debianGuest } from "../tools/debian-guests.ts";
import { cpioArchive } from "../tools/initramfs.ts";

const PROGRAM = 0o100755;
const DIRECTORY = 0o040755;
const END = "ALL-PROGRAMS-RAN";
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
/bin/busybox ip link set lo up
cd /programs
for name in *; do
	./$name >/tmp/output 2>&1
	echo "RESULT $? $(/bin/busybox md5sum </tmp/output | /bin/busybox cut -c 1-32) $name"
done
echo ${END}
/bin/busybox poweroff -f
`;

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		i386: { type: "boolean" },
		compare: { type: "boolean" },
		seconds: { type: "string", default: "3600" },
	},
});
const [folder] = positionals;
if (folder === undefined || !existsSync(folder)) {
	console.error("usage: linux-programs.ts FOLDER [--i386] [--compare]: FOLDER holds statically linked programs.");
	process.exit(2);
}
const guest = debianGuest(values.i386 ? "i386-pae" : "amd64");
if (typeof guest === "string") {
	console.error(guest);
	process.exit(2);
}

/** The kernel takes archives one after the other, each from a multiple of 4 bytes on. */
function initramfs(base: Uint8Array, names: readonly string[]): Uint8Array {
	const text = new TextEncoder();
	const programs = cpioArchive([
		{ path: "programs", mode: DIRECTORY, content: new Uint8Array(0) },
		...names.map((name) => ({ path: `programs/${name}`, mode: PROGRAM, content: readFileSync(join(folder!, name)) })),
		{ path: "init", mode: PROGRAM, content: text.encode(INIT) },
	]);
	return Buffer.concat([base, new Uint8Array((4 - (base.length % 4)) % 4), programs]);
}

function digestHere(name: string): string {
	const done = spawnSync("/bin/sh", ["-c", `./${name} 2>&1`], { cwd: folder, maxBuffer: 1 << 30 });
	return createHash("md5").update(done.stdout).digest("hex");
}

const names = readdirSync(folder).sort();
const work = mkdtempSync(join(tmpdir(), "hyperscope-programs-"));
const initrd = join(work, "initrd");
writeFileSync(initrd, initramfs(readFileSync(guest.initrd), names));
const options = ["--initrd", initrd, "--memory", "1G", "--append", "console=ttyS0 quiet", "--timeout", values.seconds];
const seconds = Number(values.seconds) + 60;
const { output } = await hyperscopeRun([guest.kernel, "--vmm", "none", ...options, "--until-serial", END], seconds);
rmSync(work, { recursive: true });
let failed = 0;
for (const name of names) {
	const result = output.match(new RegExp(`RESULT (\\d+) ([0-9a-f]{32}) ${name.replaceAll(".", "\\.")}\\r?\\n`));
	const status = result?.[1];
	const differs = values.compare && result && result[2] !== digestHere(name);
	const verdict =
		result === null ? "no end" : status !== "0" ? `status ${status}` : differs ? "other output" : "passed";
	if (verdict !== "passed") failed++;
	console.log(`${verdict.padEnd(12)} ${name}`);
}
console.log(`${names.length - failed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;
