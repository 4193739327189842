// Debian's amd64 kernel with its e1000 module pings the station at the other end of the cable.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hyperscopeRun } from "../tools/command-line.ts";
import { debianGuest, debianModule } from "../tools/debian-guests.ts";
import { cpioArchive } from "../tools/initramfs.ts";

const INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
/bin/busybox insmod /e1000.ko
/bin/busybox ip link set eth0 up
/bin/busybox ip addr add 10.0.2.15/24 dev eth0
/bin/busybox ping -c 3 10.0.2.2
/bin/busybox ping -s 1400 -c 1 10.0.2.2
echo "PING DONE"
/bin/busybox poweroff -f
`;

test("linux-image-amd64 drives the 82540EM and pings its peer", async (t) => {
	const guest = debianGuest("amd64");
	const module = debianModule("amd64", "drivers/net/ethernet/intel/e1000/e1000.ko");
	if (typeof guest === "string" || "missing" in module) {
		const why = typeof guest === "string" ? guest : "missing" in module ? module.missing : "";
		if (process.env.CI) assert.fail(why);
		t.skip(why);
		return;
	}
	const folder = mkdtempSync(join(tmpdir(), "hyperscope-network-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	// The kernel unpacks archives one behind the other; the later init takes the earlier one's place.
	const first = readFileSync(guest.initrd);
	const more = cpioArchive([
		{ path: "e1000.ko", mode: 0o100644, content: module.bytes },
		{ path: "init", mode: 0o100755, content: Buffer.from(INIT) },
	]);
	const initrd = join(folder, "initrd");
	writeFileSync(initrd, Buffer.concat([first, new Uint8Array(-first.length & 3), more]));
	const append = "console=ttyS0 quiet nokaslr mitigations=off cryptomgr.notests lpj=4000000 random.trust_cpu=on";
	const words = [guest.kernel, "--initrd", initrd, "--memory", "512M", "--device", "e1000", "--append", append];
	const result = await hyperscopeRun([...words, "--until-serial", "PING DONE"], 900);
	assert.equal(result.status, 0, `${result.errors}\n${result.output.slice(-2000)}`);
	assert.match(result.output, /3 packets transmitted, 3 packets received/);
	assert.match(result.output, /1408 bytes from 10\.0\.2\.2/);
});
