// End this process with the one that started it, however that one ends: its end of our standard input is closed then.
process.stdin.on("end", () => process.exit(0)).resume();
