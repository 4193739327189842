// Debian's kernels and busybox, fetched once into the ignored folder .cache/guests with the system's own apt-get, which keeps
// its state for the i386 packages in a folder of ours so that the machine's apt is left alone.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { busyboxInitramfs } from "./initramfs.ts";

const cache = resolve(dirname(fileURLToPath(import.meta.url)), "../../.cache/guests");

export interface LinuxGuest {
	/** Paths of files in the cache. */
	readonly kernel: string;
	readonly initrd: string;
}

/** The kernel packages that the boot tests use: the metapackage whose newest dependency is the kernel. */
const GUESTS = {
	i386: { architecture: "i386", metapackage: "linux-image-686", pattern: /^linux-image-[\d.]+-\d+-686$/ },
	"i386-pae": { architecture: "i386", metapackage: "linux-image-686-pae", pattern: /^linux-image-[\d.]+-\d+-686-pae$/ },
	amd64: { architecture: "amd64", metapackage: "linux-image-amd64", pattern: /^linux-image-[\d.]+-\d+-amd64$/ },
} as const;

class Unavailable extends Error {}

function run(command: string, args: readonly string[], options: { cwd: string; env?: NodeJS.ProcessEnv }): string {
	const done = spawnSync(command, args, { encoding: "utf8", ...options, maxBuffer: 1 << 28 });
	if (done.error || done.status !== 0) {
		const why = done.error?.message ?? done.stderr.trim().split("\n").at(-1);
		throw new Unavailable(`${command} ${args.join(" ")} failed: ${why}`);
	}
	return done.stdout;
}

/** An apt configuration for one architecture with its own state folder. */
function aptEnvironment(architecture: string, folder: string): NodeJS.ProcessEnv {
	for (const part of ["state/lists/partial", "cache/archives/partial", "dpkg"])
		mkdirSync(join(folder, part), { recursive: true });
	if (!existsSync(join(folder, "dpkg/status"))) writeFileSync(join(folder, "dpkg/status"), "");
	const configuration = join(folder, "apt.conf");
	writeFileSync(
		configuration,
		[
			`APT::Architecture "${architecture}";`,
			`APT::Architectures { "${architecture}"; };`,
			`Dir::State "${folder}/state";`,
			`Dir::State::status "${folder}/dpkg/status";`,
			`Dir::Cache "${folder}/cache";`,
			'APT::Sandbox::User "root";',
			"",
		].join("\n"),
	);
	return { ...process.env, APT_CONFIG: configuration };
}

function fetchGuest(name: keyof typeof GUESTS, folder: string): void {
	const { architecture, metapackage, pattern } = GUESTS[name];
	const env = aptEnvironment(architecture, join(cache, `apt-${architecture}`));
	const work = join(cache, `work-${name}`);
	rmSync(work, { recursive: true, force: true });
	mkdirSync(work, { recursive: true });
	// A mirror that is being updated makes single indices fail; what is needed below tells whether it matters.
	spawnSync("apt-get", ["update", "-qq"], { cwd: work, env, stdio: "ignore" });
	const depends = run("apt-cache", ["depends", metapackage], { cwd: work, env });
	const kernelPackage = depends
		.split("\n")
		.map((line) => line.replace(/^\s*(\|?Depends:)?\s*/, "").trim())
		.find((name) => pattern.test(name));
	if (!kernelPackage) throw new Unavailable(`apt does not know which kernel ${metapackage} depends on`);
	run("apt-get", ["download", "-qq", kernelPackage, "busybox-static"], { cwd: work, env });
	for (const file of readdirSync(work).filter((name) => name.endsWith(".deb")))
		run("dpkg-deb", ["-x", file, "root"], { cwd: work });
	const boot = join(work, "root/boot");
	const kernel = readdirSync(boot).find((name) => name.startsWith("vmlinuz-"));
	if (!kernel) throw new Unavailable(`${kernelPackage} holds no kernel`);
	const ready = join(work, "ready");
	mkdirSync(ready);
	renameSync(join(boot, kernel), join(ready, "vmlinuz"));
	writeFileSync(join(ready, "initrd"), busyboxInitramfs(readFileSync(join(work, "root/bin/busybox"))));
	writeFileSync(join(ready, "package"), `${kernelPackage}\n`);
	rmSync(folder, { recursive: true, force: true });
	renameSync(ready, folder);
	rmSync(work, { recursive: true, force: true });
}

/** A guest, fetched when it is not in the cache; or the reason why it cannot be had. */
export function debianGuest(name: keyof typeof GUESTS): LinuxGuest | string {
	const folder = join(cache, name);
	try {
		if (!existsSync(join(folder, "package"))) fetchGuest(name, folder);
	} catch (error) {
		if (error instanceof Unavailable) return error.message;
		throw error;
	}
	return { kernel: join(folder, "vmlinuz"), initrd: join(folder, "initrd") };
}

/**
 * Modules of an architecture's kernel, by their paths below kernel/, in the same order; fetched once like the guest. `missing` says why they
 * cannot be had.
 */
export function debianModules(
	architecture: keyof typeof GUESTS,
	paths: readonly string[],
): { readonly modules: readonly Uint8Array[] } | { readonly missing: string } {
	const guest = debianGuest(architecture);
	if (typeof guest === "string") return { missing: guest };
	const folder = join(cache, architecture);
	const absent = paths.filter((path) => !existsSync(join(folder, basename(path))));
	try {
		if (absent.length > 0) {
			const work = join(cache, `module-${architecture}`);
			rmSync(work, { recursive: true, force: true });
			mkdirSync(work, { recursive: true });
			download([readFileSync(join(folder, "package"), "utf8").trim()], GUESTS[architecture].architecture, work);
			const [version] = readdirSync(join(work, "root/lib/modules"));
			for (const path of absent)
				renameSync(join(work, "root/lib/modules", version!, "kernel", path), join(folder, basename(path)));
			rmSync(work, { recursive: true, force: true });
		}
	} catch (error) {
		if (error instanceof Unavailable) return { missing: error.message };
		throw error;
	}
	return { modules: paths.map((path) => readFileSync(join(folder, basename(path)))) };
}

/** One module. */
export function debianModule(
	architecture: keyof typeof GUESTS,
	path: string,
): { readonly bytes: Uint8Array } | { readonly missing: string } {
	const found = debianModules(architecture, [path]);
	return "missing" in found ? found : { bytes: found.modules[0]! };
}

/** The Xen hypervisor of Debian as a multiboot image, unpacked. */
export function debianXen(): { readonly path: string } | { readonly missing: string } {
	const folder = join(cache, "xen");
	const path = join(folder, "xen");
	try {
		if (!existsSync(path)) {
			const work = join(cache, "work-xen");
			rmSync(work, { recursive: true, force: true });
			mkdirSync(work, { recursive: true });
			download(["xen-hypervisor-4.17-amd64"], "amd64", work);
			mkdirSync(folder, { recursive: true });
			writeFileSync(path, gunzipSync(readFileSync(join(work, "root/boot/xen-4.17-amd64.gz"))));
			rmSync(work, { recursive: true, force: true });
		}
	} catch (error) {
		if (error instanceof Unavailable) return { missing: error.message };
		throw error;
	}
	return { path };
}

/** Packages unpacked into `root` below a folder. */
function download(packages: readonly string[], architecture: string, work: string): void {
	const env = aptEnvironment(architecture, join(cache, `apt-${architecture}`));
	const fetch = () => run("apt-get", ["download", "-qq", ...packages], { cwd: work, env });
	try {
		fetch();
	} catch {
		// The list of packages may be missing or out of date.
		run("apt-get", ["update", "-qq"], { cwd: work, env });
		fetch();
	}
	for (const file of readdirSync(work).filter((name) => name.endsWith(".deb")))
		run("dpkg-deb", ["-x", file, "root"], { cwd: work });
}
