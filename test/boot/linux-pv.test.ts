// Debian's amd64 kernel as a paravirtual guest, unmodified: it reaches a shell on the console of its domain and runs a command.

import assert from "node:assert/strict";
import { test } from "node:test";
import { hyperscopeRun } from "../tools/command-line.ts";
import { debianGuest } from "../tools/debian-guests.ts";
import { vmlinuxOf } from "../tools/vmlinux.ts";

const SECONDS = 900;
const PROMPT = "/ # ";
/** The shell multiplies: the answer does not stand in the echo of the command. */
const COMMAND = "echo $((6*7)); cat /sys/hypervisor/type; cat /proc/cpuinfo | grep -c hypervisor";
const ANSWER = "\n42\r?\nxen\r?\n1\r?\n";

test("linux-image-amd64 under pv reaches a shell and runs a command", async (t) => {
	const guest = debianGuest("amd64");
	const kernel = typeof guest === "string" ? `<${guest}>` : vmlinuxOf(guest.kernel);
	if (typeof guest === "string" || kernel.startsWith("<")) {
		if (process.env.CI) assert.fail(kernel);
		t.skip(kernel);
		return;
	}
	const words = [kernel, "--initrd", guest.initrd, "--memory", "256M", "--vmm", "pv"];
	const append = "console=hvc0 earlyprintk=xen nokaslr cryptomgr.notests";
	const until = ["--until-serial", PROMPT, "--then", COMMAND, ANSWER];
	const result = await hyperscopeRun([...words, "--append", append, ...until], SECONDS);
	assert.equal(result.status, 0, `${result.errors}\n${result.output.slice(-2000)}`);
	assert.match(result.output, /Hypervisor detected: Xen PV/);
	assert.match(result.output, /GUEST-SHELL .* x86_64/);
	const { instructions, mips, hypercalls, mmu } = result.statistics;
	t.diagnostic(
		`${instructions} instructions, ${mips.toFixed(1)} MIPS, ${hypercalls.mmu_update} mmu_update, ${mmu.traceWrites} emulated writes to page tables`,
	);
	for (const name of [
		"mmu_update",
		"mmuext_op",
		"update_va_mapping",
		"set_trap_table",
		"event_channel_op",
		"iret",
		"multicall",
	])
		assert.ok(hypercalls[name] > 0, `${name} was called`);
});
