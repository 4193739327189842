const integerWords = new Set(["long", "short", "int", "signed", "unsigned", "char"]);

/** A base type's name with its words in the usual order: gcc writes "long unsigned int" where people write "unsigned long". */
export function usualTypeName(name: string): string {
	const words = name.split(" ");
	if (words.length < 2 || !words.every((word) => integerWords.has(word))) return name;
	const has = (word: string) => words.includes(word);
	const sign = has("unsigned") ? "unsigned " : has("signed") && has("char") ? "signed " : "";
	if (has("char")) return `${sign}char`;
	if (has("short")) return `${sign}short`;
	const longs = words.filter((word) => word === "long").length;
	return sign + (longs === 2 ? "long long" : longs === 1 ? "long" : "int");
}
