import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { missing } from "../fixtures/programs.test.ts";
import { SymbolTable, typeName } from "../index.ts";

test("strings, addresses, ranges and locations by index, as clang writes them", { skip: missing("gcc") }, () => {
	const folder = mkdtempSync(join(tmpdir(), "hyperscope-indexed-"));
	try {
		const path = join(folder, "indexed");
		const source = join(import.meta.dirname, "../fixtures/indexed.s");
		execFileSync("gcc", ["-m64", "-nostdlib", "-static", "-no-pie", "-o", path, source]);
		const table = new SymbolTable();
		const file = table.add(new Uint8Array(readFileSync(path)), { name: "indexed" });
		const start = file.entry;
		assert.equal(file.dwarf.units[0]!.name, "indexed.c");
		assert.equal(file.dwarf.unitsAt(start).length, 1);
		// mov is 5 bytes, nop 1: .Lmiddle at 6, .Lend at 12, .Lafter at 13.
		assert.equal(file.dwarf.unitsAt(start + 12n).length, 1);
		assert.equal(file.dwarf.unitsAt(start + 13n).length, 0);
		const frame = file.framesAt(start + 3n)[0]!;
		assert.equal(frame.name, "entry");
		assert.equal(file.functionAt(start + 12n), undefined);
		const [local] = file.variablesOf(frame);
		assert.equal(local!.name, "local");
		assert.equal(typeName(local!.type), "int");
		const at = (offset: bigint) =>
			file.valueOf(local!, {
				pc: start + offset,
				readRegister: (register) => BigInt(register) + 100n,
				readMemory: () => undefined,
			}).storage;
		assert.deepEqual(at(5n), { kind: "register", id: 0, bits: 64, value: 100n, offset: 0 });
		assert.deepEqual(at(7n), { kind: "bytes", bytes: Uint8Array.of(7, 0, 0, 0) });
		assert.deepEqual(at(9n), { kind: "register", id: 3, bits: 64, value: 103n, offset: 0 });
		const [global] = file.globalsNamed("global");
		const place = file.valueOf(global!, { pc: 0n, readRegister: () => undefined, readMemory: () => undefined });
		const symbol = file.symbolsNamed("global")[0]!;
		assert.deepEqual(place.storage, { kind: "memory", space: "lin", address: symbol.address });
		assert.equal(table.locationsOfFunction("entry")[0]!.address, start);
	} finally {
		rmSync(folder, { recursive: true });
	}
});
