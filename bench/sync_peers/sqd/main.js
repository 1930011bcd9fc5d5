// SQD's processor on the same chain and server: the usual batch handler, transfers and balances.
const { EvmBatchProcessor } = require("@subsquid/evm-processor");
const { TypeormDatabase } = require("@subsquid/typeorm-store");
const { In } = require("typeorm");
const { Account, Transfer } = require("./lib/model");

const task = JSON.parse(process.argv[2]);
const TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const ZERO = "0x" + "0".repeat(40);
const CHUNK = 1000;

const processor = new EvmBatchProcessor()
  .setRpcEndpoint({ url: task.url, capacity: 10, maxBatchCallSize: 100 })
  .setFinalityConfirmation(10)
  .setBlockRange({ from: task.deployed_at, to: task.head })
  .setFields({ log: { transactionHash: true } })
  .addLog({ address: [task.token], topic0: [TOPIC] });

let seen = 0;
const started = process.hrtime.bigint();
process.on("exit", () => {
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (seen !== task.events) {
    console.error(`SQD saw ${seen} of ${task.events} events`);
    process.exitCode = 1;
    return;
  }
  console.log(JSON.stringify({ seconds, rss_mib: process.resourceUsage().maxRSS / 1024 }));
});

processor.run(new TypeormDatabase({ supportHotBlocks: true }), async (ctx) => {
  const transfers = [];
  const touched = new Set();
  for (const block of ctx.blocks) {
    for (const log of block.logs) {
      const source = "0x" + log.topics[1].slice(26);
      const target = "0x" + log.topics[2].slice(26);
      touched.add(source).add(target);
      transfers.push(
        new Transfer({
          id: log.id,
          block: block.header.height,
          timestamp: new Date(block.header.timestamp),
          txHash: log.transactionHash,
          source,
          target,
          units: BigInt(log.data),
        }),
      );
    }
  }
  touched.delete(ZERO);
  const names = [...touched];
  const accounts = new Map();
  for (let i = 0; i < names.length; i += CHUNK) {
    for (const found of await ctx.store.findBy(Account, { id: In(names.slice(i, i + CHUNK)) })) {
      found.balance = BigInt(found.balance);
      accounts.set(found.id, found);
    }
  }
  const account = (id) => {
    if (!accounts.has(id)) accounts.set(id, new Account({ id, balance: 0n }));
    return accounts.get(id);
  };
  for (const transfer of transfers) {
    if (transfer.source !== ZERO) account(transfer.source).balance -= transfer.units;
    if (transfer.target !== ZERO) account(transfer.target).balance += transfer.units;
  }
  seen += transfers.length;
  await ctx.store.upsert([...accounts.values()]);
  await ctx.store.insert(transfers);
});
