// What guests make of the ACPI tables: they power off by them, and find the VT-d unit.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { ACPI_COMPLAINT } from "../tools/acpi-reader.ts";
import { hyperscopeRun } from "../tools/command-line.ts";
import { debianGuest, debianModules, debianXen } from "../tools/debian-guests.ts";
import { ensureDebianPackages } from "../tools/debian-packages.ts";
import { cpioArchive } from "../tools/initramfs.ts";

/** Boots that the suite has no time for: with HYPERSCOPE_BOOTS=all. */
const ALL_BOOTS = process.env.HYPERSCOPE_BOOTS === "all";

function unavailable(t: TestContext, why: string): void {
	if (process.env.CI) assert.fail(why);
	t.skip(why);
}

function folder(t: TestContext): string {
	const path = mkdtempSync(join(tmpdir(), "hyperscope-acpi-"));
	t.after(() => rmSync(path, { recursive: true, force: true }));
	return path;
}

test("GRUB, which SeaBIOS starts, finds the tables of fw_cfg and powers off by them", async (t) => {
	const missing = ensureDebianPackages(["seabios", "grub-common", "grub-pc-bin", "xorriso", "mtools"]);
	if (missing !== undefined) return unavailable(t, missing);
	const work = folder(t);
	mkdirSync(join(work, "tree/boot/grub"), { recursive: true });
	const commands = ["serial --unit=0", "terminal_output serial", "insmod lsacpi", "lsacpi", "halt"];
	writeFileSync(join(work, "tree/boot/grub/grub.cfg"), `${commands.join("\n")}\n`);
	const iso = join(work, "grub.iso");
	const words = ["-d", "/usr/lib/grub/i386-pc", "-o", iso, join(work, "tree")];
	const made = spawnSync("grub-mkrescue", words, { encoding: "utf8" });
	assert.equal(made.status, 0, made.stderr);
	const firmware = ["--firmware", "/usr/share/seabios/bios-256k.bin", "--memory", "64M", "--cdrom", iso];
	const limit = ["--max-instructions", "2000000000"];
	const { status, output, errors, statistics } = await hyperscopeRun([...firmware, "--iommu", "on", ...limit], 300);
	assert.equal(status, 0, `${errors}\n${output}`);
	assert.equal(statistics.stop, "poweroff");
	assert.match(output, /RSDPv2 signature:RSD PTR {2}chksum:\w+ \(valid\)/);
	for (const table of ["XSDT", "FACP", "APIC", "DMAR"])
		assert.match(output, new RegExp(`${table} +\\d+B rev=\\d chksum=0x\\w+ \\(valid\\)`));
	assert.match(output, /Int Override bus=0 src=0 GSI=00000002 Flags=0000/);
});

/** In the order in which they can be loaded. */
const MODULES = [
	...["drivers/scsi/scsi_common.ko", "drivers/scsi/scsi_mod.ko", "drivers/ata/libata.ko", "drivers/ata/ata_piix.ko"],
	...["crypto/crct10dif_common.ko", "lib/crc-t10dif.ko", "lib/crc64.ko", "lib/crc64-rocksoft.ko", "block/t10-pi.ko"],
	...["drivers/scsi/sd_mod.ko", "drivers/net/ethernet/intel/e1000/e1000.ko"],
];
const SECTOR = 512;
const READ = "Text from the disk";
const WRITTEN = "Text of the guest";

const INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
exec </dev/console >/dev/console 2>&1
for module in ${MODULES.map((path) => basename(path)).join(" ")}; do
	/bin/busybox insmod /$module || echo "FAILED $module"
done
while [ ! -e /dev/sda ]; do /bin/busybox sleep 1; done
/bin/busybox head -c ${READ.length} /dev/sda
echo ""
echo "${WRITTEN}" | /bin/busybox dd of=/dev/sda bs=${SECTOR} seek=1 conv=sync,fsync 2>/dev/null
/bin/busybox dd if=/dev/sda bs=${SECTOR} skip=1 count=1 2>/dev/null | /bin/busybox head -c ${WRITTEN.length + 1}
/bin/busybox ip link set eth0 up
/bin/busybox ip addr add 10.0.2.15/24 dev eth0
/bin/busybox ping -c 2 10.0.2.2
/bin/busybox cat /proc/interrupts
exec /bin/busybox poweroff -f
`;

test("linux-image-amd64 finds the VT-d unit by the DMAR table, drives disk and network through it, and powers off", async (t) => {
	const guest = debianGuest("amd64");
	if (typeof guest === "string") return unavailable(t, guest);
	const found = debianModules("amd64", MODULES);
	if ("missing" in found) return unavailable(t, found.missing);
	const work = folder(t);
	// The kernel unpacks archives one behind the other; the later init takes the earlier one's place.
	const first = readFileSync(guest.initrd);
	const more = cpioArchive([
		...MODULES.map((path, i) => ({ path: basename(path), mode: 0o100644, content: found.modules[i]! })),
		{ path: "init", mode: 0o100755, content: Buffer.from(INIT) },
	]);
	const initrd = join(work, "initrd");
	writeFileSync(initrd, Buffer.concat([first, new Uint8Array(-first.length & 3), more]));
	const disk = join(work, "disk");
	const content = Buffer.alloc(1 << 20);
	content.write(READ);
	writeFileSync(disk, content);
	const kernel = ["nokaslr", "mitigations=off", "cryptomgr.notests", "lpj=4000000", "random.trust_cpu=on"];
	const append = ["console=ttyS0", "intel_iommu=on", "intremap=on", ...kernel].join(" ");
	const machine = ["--memory", "512M", "--iommu", "on", "--disk", disk, "--device", "e1000"];
	const words = [guest.kernel, "--initrd", initrd, ...machine, "--append", append];
	const result = await hyperscopeRun([...words, "--max-instructions", "9000000000"], 900);
	const output = result.output.replaceAll("\r", "");
	assert.equal(result.status, 0, `${result.errors}\n${output.slice(-3000)}`);
	assert.equal(result.statistics.stop, "poweroff");
	assert.match(output, /DMAR: DRHD base: 0x000000fed90000 flags: 0x1/);
	assert.match(output, /DMAR-IR: Enabled IRQ remapping in x2apic mode/);
	assert.match(output, /DMAR: Intel\(R\) Virtualization Technology for Directed I\/O/);
	assert.match(output, /ACPI: PCI Root Bridge \[PCI0\]/);
	assert.match(output, /clocksource: acpi_pm: mask: 0xffffff/);
	assert.doesNotMatch(output, ACPI_COMPLAINT);
	assert.doesNotMatch(output, /FAILED|DMAR: \[DMA (Read|Write)/);
	assert.match(output, new RegExp(`${READ}\n${WRITTEN}\n`));
	assert.match(output, /2 packets transmitted, 2 packets received/);
	assert.match(output, /IR-IO-APIC +\d+-fasteoi +eth0/);
	const { translated, blocked } = result.statistics.iommu;
	assert.ok(translated > 0 && blocked === 0, `${translated} requests translated, ${blocked} blocked`);
});

if (ALL_BOOTS) {
	for (const architecture of ["i386", "i386-pae", "amd64"] as const)
		test(`${architecture}: the shell's poweroff ends the machine, with and without the I/O APIC, and with two processors`, async (t) => {
			const guest = debianGuest(architecture);
			if (typeof guest === "string") return unavailable(t, guest);
			for (const [append, ...options] of [
				["console=ttyS0"],
				["console=ttyS0 noapic"],
				["console=ttyS0", "--processors", "2"],
			]) {
				const words = [guest.kernel, "--initrd", guest.initrd, "--memory", "512M", "--append", append!, ...options];
				const off = ["--until-serial", "/ # ", "--then", "poweroff -f", "nothing that it prints"];
				const { status, output, errors } = await hyperscopeRun([...words, ...off], 900);
				assert.equal(status, 0, `${append} ${options}: ${errors}\n${output.slice(-2000)}`);
				assert.doesNotMatch(output, ACPI_COMPLAINT);
			}
		});

	test("Xen finds processors, I/O APIC and VT-d unit by the tables, and Debian's kernel as its Domain 0 powers off", async (t) => {
		const guest = debianGuest("amd64");
		const xen = debianXen();
		if (typeof guest === "string") return unavailable(t, guest);
		if ("missing" in xen) return unavailable(t, xen.missing);
		// Its real-mode code asks a BIOS, which is not there.
		const append = "no-real-mode console=com1 com1=115200,8n1 loglvl=all dom0_mem=512M";
		const modules = ["--module", `${guest.kernel} console=hvc0 nokaslr`, "--module", guest.initrd];
		const words = [xen.path, "--memory", "1G", "--iommu", "on", "--append", append, ...modules];
		const off = ["--until-serial", "/ # ", "--then", "poweroff -f", "nothing that it prints"];
		const { status, output, errors } = await hyperscopeRun(
			[...words, ...off, "--max-instructions", "25000000000"],
			1800,
		);
		assert.equal(status, 0, `${errors}\n${output.slice(-3000)}`);
		assert.match(output, /\(XEN\) Using ACPI \(MADT\) for SMP configuration information/);
		assert.match(output, /\(XEN\) Intel VT-d Interrupt Remapping enabled/);
		assert.match(output, /\(XEN\) I\/O virtualisation enabled/);
		assert.match(output, /PCI: Using ACPI for IRQ routing/);
		assert.match(output, /GUEST-SHELL .* x86_64/);
		assert.doesNotMatch(output, ACPI_COMPLAINT);
	});
}
