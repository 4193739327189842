// Debian's SeaBIOS starts from its ROM, sets the PC up and says on the serial port that there is nothing to boot.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { bootableDisc, bootableDisk } from "../tools/boot-media.ts";
import { hyperscopeRun, root } from "../tools/command-line.ts";
import { debianGuest } from "../tools/debian-guests.ts";
import { ensureDebianPackages } from "../tools/debian-packages.ts";

const FOLDER = "/usr/share/seabios";

/** Skips the test, or fails it in CI, when the packages cannot be had. */
function need(t: TestContext, packages: readonly string[]): boolean {
	const missing = ensureDebianPackages(packages);
	if (missing === undefined) return true;
	if (process.env.CI) assert.fail(missing);
	t.skip(missing);
	return false;
}

function folder(t: TestContext): string {
	const path = mkdtempSync(join(tmpdir(), "hyperscope-boot-"));
	t.after(() => rmSync(path, { recursive: true, force: true }));
	return path;
}

const seabios = ["--vmm", "none", "--memory", "64M", "--firmware", `${FOLDER}/bios-256k.bin`];

for (const image of ["bios.bin", "bios-256k.bin"]) {
	test(`SeaBIOS (${image}) runs to its boot menu`, async (t) => {
		if (!need(t, ["seabios"])) return;
		const options = ["--firmware", `${FOLDER}/${image}`, "--vmm", "none", "--memory", "64M"];
		const end = ["--until-serial", "No bootable device", "--max-instructions", "500000000"];
		const { status, output, errors } = await hyperscopeRun([...options, ...end], 120);
		assert.equal(status, 0, errors);
		assert.match(output, /SeaBIOS \(version/);
		assert.match(output, /Booting from Hard Disk/);
	});
}

test("SeaBIOS under hvm, in real mode on extended page tables, starts the boot sector of a disk", async (t) => {
	if (!need(t, ["seabios"])) return;
	const image = join(folder(t), "image");
	writeFileSync(image, bootableDisk("Text of another sector"));
	const options = ["--vmm", "hvm", "--memory", "64M", "--firmware", `${FOLDER}/bios-256k.bin`, "--disk", image];
	const limit = ["--max-instructions", "500000000"];
	const { status, output, errors, statistics } = await hyperscopeRun([...options, ...limit], 300);
	assert.equal(status, 1, `${errors}\n${output}`);
	assert.match(output, /Text of another sector$/);
	assert.ok(statistics.exits.byReason["EPT violation"] > 0);
});

for (const [option, make] of [
	["--disk", bootableDisk],
	["--cdrom", bootableDisc],
] as const)
	test(`SeaBIOS starts the boot sector of a ${option.slice(2)}, which reads another sector through the BIOS`, async (t) => {
		if (!need(t, ["seabios"])) return;
		const image = join(folder(t), "image");
		writeFileSync(image, make("Text of another sector"));
		const limit = ["--max-instructions", "500000000"];
		const { status, output, errors } = await hyperscopeRun([...seabios, option, image, ...limit], 120);
		assert.equal(status, 1, `${errors}\n${output}`);
		assert.match(output, /Text of another sector$/);
	});

test("GRUB starts from an ISO image, as disc and as disk, and loads a kernel", async (t) => {
	if (!need(t, ["seabios", "grub-common", "grub-pc-bin", "xorriso", "mtools"])) return;
	const work = folder(t);
	mkdirSync(join(work, "tree/boot/grub"), { recursive: true });
	copyFileSync(join(root, "extension/samples/hello/hello.elf"), join(work, "tree/boot/hello.elf"));
	const commands = ["serial --unit=0", "terminal_output serial", "multiboot /boot/hello.elf", "boot"];
	writeFileSync(join(work, "tree/boot/grub/grub.cfg"), `${commands.join("\n")}\n`);
	const iso = join(work, "grub.iso");
	const made = spawnSync("grub-mkrescue", ["-d", "/usr/lib/grub/i386-pc", "-o", iso, join(work, "tree")], {
		encoding: "utf8",
	});
	assert.equal(made.status, 0, made.stderr);
	for (const option of ["--cdrom", "--disk"]) {
		const limit = ["--max-instructions", "2000000000"];
		const { status, output, errors } = await hyperscopeRun([...seabios, option, iso, ...limit], 300);
		assert.equal(status, 1, `${errors}\n${output}`);
		assert.match(output, /Welcome to GRUB!/);
		assert.match(output, /Hello from the guest kernel\n$/);
	}
});

const OVMF = "/usr/share/ovmf/OVMF.fd";

test("UEFI firmware (OVMF) runs to its shell", async (t) => {
	if (!need(t, ["ovmf"])) return;
	const end = ["--until-serial", "UEFI Interactive Shell", "--max-instructions", "3000000000"];
	const { status, output, errors } = await hyperscopeRun(["--firmware", OVMF, "--vmm", "none", ...end], 300);
	assert.equal(status, 0, `${errors}\n${output}`);
});

/** Several thousand million instructions. */
if (process.env.HYPERSCOPE_BOOTS === "all")
	test("UEFI firmware starts the EFI stub of a Linux kernel that is named beside it, with initramfs and command line", async (t) => {
		if (!need(t, ["ovmf"])) return;
		const guest = debianGuest("amd64");
		assert.ok(typeof guest !== "string", String(guest));
		const kernel = [guest.kernel, "--initrd", guest.initrd, "--append", "console=ttyS0 quiet", "--memory", "512M"];
		const words = ["--firmware", OVMF, ...kernel, "--until-serial", "GUEST-SHELL"];
		const { status, output, errors } = await hyperscopeRun(words, 1200);
		assert.equal(status, 0, `${errors}\n${output}`);
	});

test("other techniques than none say that they start images only", async () => {
	const { status, errors } = await hyperscopeRun(["--firmware", import.meta.filename, "--vmm", "bt"], 60);
	assert.equal(status, 2);
	assert.equal(errors.trim().split("\n").length, 1, errors);
	assert.match(errors, /starts a kernel image in protected mode/);
});
