/**
 * A whole purchase with the generated client: enrol, prove a wallet, order, wait for the fractions.
 *
 * It is what an app on a phone does. What other people do meanwhile (compliance passes the KYC, the
 * bank says that money has come, the sale is closed) is told to them by a line of JSON on standard
 * output for each step; see `tests/e2e/test_client_kit.py`.
 *
 *     node purchase.js ADDRESS SUBJECT OFFERING_ID UNITS
 */
import { randomBytes, randomUUID } from "node:crypto";

import { privateKeyToAccount } from "viem/accounts";

import {
  Configuration,
  DevelopmentApi,
  InvestorsApi,
  MeApi,
  OfferingsApi,
  type MeRead,
  type OrderRead,
  type PortfolioRead,
} from "../build/typescript/src";

const REST_MS = 200;
const PATIENCE_MS = 180_000;

function tell(step: string, more: object = {}): void {
  console.log(JSON.stringify({ step, ...more }));
}

/** Ask again and again until the answer is what is waited for. */
async function until<T>(what: string, ask: () => Promise<T>, isSo: (answer: T) => boolean) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const answer = await ask();
    if (isSo(answer)) return answer;
    await new Promise((done) => setTimeout(done, REST_MS));
  }
  throw new Error(`waited in vain for ${what}`);
}

async function main(basePath: string, subject: string, offeringId: string, units: string) {
  const anybody = new DevelopmentApi(new Configuration({ basePath }));
  const { accessToken } = await anybody.issueDevelopmentToken({
    tokenRequest: { subject, roles: ["investor"] },
  });
  const signedIn = new Configuration({ basePath, accessToken });
  const me = new MeApi(signedIn);
  const investors = new InvestorsApi(signedIn);
  const offerings = new OfferingsApi(signedIn);

  const investor = await investors.enrolInvestor({
    idempotencyKey: randomUUID(),
    investorCreate: {
      person: { name: "Client Kit Sample", cnic: "35201-7654321-3", residenceCountry: "PK" },
    },
  });

  const wallet = privateKeyToAccount(`0x${randomBytes(32).toString("hex")}`);
  const asked = await investors.challengeWallet({
    investorId: investor.id,
    idempotencyKey: randomUUID(),
    walletCreate: { address: wallet.address },
  });
  const signature = await wallet.signMessage({ message: asked.challenge! });
  await investors.proveWallet({
    investorId: investor.id,
    address: wallet.address,
    idempotencyKey: randomUUID(),
    walletProof: { signature },
  });
  tell("wallet_proven", { investor_id: investor.id });

  const hasIdentity = (now: MeRead) => Boolean(now.investor?.wallets.some((each) => each.identity));
  await until("an identity on chain", () => me.getMe(), hasIdentity);

  // Sent twice with one key, as a phone does that has lost the answer: one order.
  const order = {
    offeringId,
    idempotencyKey: randomUUID(),
    orderCreate: { units, wallet: wallet.address },
  };
  const placed = await offerings.placeOrder(order);
  const again = await offerings.placeOrder(order);
  if (again.id !== placed.id) throw new Error("one key has made two orders");
  tell("ordered", { order: { id: placed.id, reference: placed.reference, amount: placed.amount } });

  const isSettled = (now: OrderRead) => now.state === "SETTLED";
  await until("fractions", () => offerings.getOrder({ orderId: placed.id }), isSettled);
  const held = (now: PortfolioRead) => now.holdings.some((each) => each.balanceUnits !== "0");
  const portfolio = await until("the portfolio", () => me.getMyPortfolio(), held);
  tell("settled", { wallet: wallet.address, portfolio });
}

const [address, subject, offeringId, units] = process.argv.slice(2);
main(address!, subject!, offeringId!, units!).catch((fault: unknown) => {
  console.error(fault);
  process.exit(1);
});
