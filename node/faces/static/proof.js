// The reader's own check of an entry: leaf hash, way up to the root (RFC 9162 §2.1.3.2), opening of the commitment.
const box = document.getElementById("proof");
const proof = JSON.parse(box.dataset.proof);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const sha = async (...parts) => {
  const whole = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
};
const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
const LEAF = Uint8Array.of(0), NODE = Uint8Array.of(1);

async function holds() {
  const leaf = bytes(proof.leaf);
  let hash = await sha(LEAF, leaf), node = proof.index, last = proof.size - 1;
  for (const each of proof.path.map(bytes)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = await sha(NODE, each, hash);
      while (node % 2 === 0 && node !== 0) { node /= 2; last = Math.floor(last / 2); }
    } else {
      hash = await sha(NODE, hash, each);
    }
    node = Math.floor(node / 2); last = Math.floor(last / 2);
  }
  if (last !== 0 || hex(hash) !== hex(bytes(proof.root))) return false;
  if (!proof.details) return true;
  const committed = JSON.parse(new TextDecoder().decode(leaf)).d;
  return hex(await sha(bytes(proof.salt), bytes(proof.details))) === committed;
}

const own = document.getElementById("own");
const good = await holds().catch(() => false);
own.className = good ? "good" : "stop";
document.getElementById("own-mark").textContent = good ? "✓" : "✗";
document.getElementById("own-word").textContent = good ? own.dataset.good : own.dataset.bad;
