// Debian's amd64 kernel as a paravirtual guest, unmodified: it reaches a shell on the console of its domain; its own block front end
// reads and writes a disk that the sample Domain 0 serves; its balloon gives memory back.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hyperscopeRun, root } from "../tools/command-line.ts";
import { debianGuest, debianModule } from "../tools/debian-guests.ts";
import { cpioArchive } from "../tools/initramfs.ts";

const SECONDS = 900;
const PROMPT = "/ # ";
const MODULE = "drivers/block/xen-blkfront.ko";
const SECTORS = 2048;
const WRITTEN = "written by Linux";
/** Words of the shell that the answer does not stand in the echo of. */
const COMMAND = [
	"insmod /xen-blkfront.ko",
	"md5sum /dev/xvda",
	`busybox printf '${WRITTEN}' | busybox dd of=/dev/xvda bs=512 seek=7 conv=sync,notrunc`,
	"B=/sys/devices/system/xen_memory/xen_memory0",
	"echo 150000 > $B/target_kb",
	"busybox sleep 2",
	"cat $B/info/current_kb /sys/hypervisor/type",
	"busybox sync",
	"echo $((6*7))",
].join("; ");
const ANSWER = "\n42\r?\n";

test("linux-image-amd64 under pv reaches a shell, uses a disk through Domain 0 and gives memory back", async (t) => {
	const guest = debianGuest("amd64");
	const module = debianModule("amd64", MODULE);
	if (typeof guest === "string" || "missing" in module) {
		const why = typeof guest === "string" ? guest : "missing" in module ? module.missing : "";
		if (process.env.CI) assert.fail(why);
		t.skip(why);
		return;
	}
	const folder = join(root, ".cache", `linux-pv-${process.pid}`);
	mkdirSync(folder, { recursive: true });
	try {
		const image = new Uint8Array(SECTORS * 512).map((_, index) => (index * 7 + (index >> 9)) & 255);
		const disk = join(folder, "disk.img");
		writeFileSync(disk, image);
		// The kernel takes several archives one behind the other.
		const initrd = join(folder, "initrd");
		const more = cpioArchive([{ path: "xen-blkfront.ko", mode: 0o100644, content: module.bytes }]);
		writeFileSync(initrd, Buffer.concat([readFileSync(guest.initrd), more]));
		const words = [guest.kernel, "--initrd", initrd, "--memory", "256M", "--vmm", "pv"];
		const split = ["--io", "split", "--disk", disk, "--disk-writes", "file"];
		const append = ["--append", "console=hvc0 earlyprintk=xen nokaslr cryptomgr.notests"];
		const until = ["--until-serial", PROMPT, "--then", COMMAND, ANSWER];
		const result = await hyperscopeRun([...words, ...split, ...append, ...until], SECONDS);
		assert.equal(result.status, 0, `${result.errors}\n${result.output.slice(-2000)}`);
		const { output } = result;
		assert.match(output, /Hypervisor detected: Xen PV/);
		assert.match(output, /GUEST-SHELL .* x86_64/);
		assert.ok(output.includes(`${createHash("md5").update(image).digest("hex")}  /dev/xvda`), output.slice(-2000));
		assert.match(output, /\n150000\r?\nxen\r?\n/);
		const written = readFileSync(disk);
		assert.equal(written.toString("latin1", 7 * 512, 7 * 512 + WRITTEN.length), WRITTEN);
		const { instructions, mips, hypercalls, mmu } = result.statistics;
		t.diagnostic(
			`${instructions} instructions, ${mips.toFixed(1)} MIPS, ${hypercalls.mmu_update} mmu_update, ${mmu.traceWrites} emulated writes to page tables`,
		);
		const made = [
			"mmu_update",
			"mmuext_op",
			"update_va_mapping",
			"set_trap_table",
			"event_channel_op",
			"iret",
			"multicall",
		];
		for (const name of [...made, "grant_table_op", "memory_op"]) assert.ok(hypercalls[name] > 0, `${name} was called`);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});
