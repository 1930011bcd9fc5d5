// The tables of the run: transfers, and balances now. SQD keeps no history of balances.
const { Entity, PrimaryColumn, Column, Index } = require("typeorm");

class Account {
  constructor(props) {
    Object.assign(this, props);
  }
}
Entity()(Account);
PrimaryColumn({ type: "text" })(Account.prototype, "id");
Column({ type: "numeric" })(Account.prototype, "balance");

class Transfer {
  constructor(props) {
    Object.assign(this, props);
  }
}
Entity()(Transfer);
PrimaryColumn({ type: "text" })(Transfer.prototype, "id");
Column({ type: "int4" })(Transfer.prototype, "block");
Column({ type: "timestamp with time zone" })(Transfer.prototype, "timestamp");
Column({ type: "text" })(Transfer.prototype, "txHash");
Column({ type: "text" })(Transfer.prototype, "source");
Column({ type: "text" })(Transfer.prototype, "target");
Column({ type: "numeric" })(Transfer.prototype, "units");

module.exports = { Account, Transfer };
