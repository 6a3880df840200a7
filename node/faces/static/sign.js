// Signing: register a passkey if there is none, fetch the document, hash it HERE, sign that hash, send the assertion.
const form = document.getElementById("sign");
const button = document.getElementById("go");
const word = document.getElementById("go-word");
const { address, csrf, code } = form.dataset;
const ceremony = JSON.parse(form.dataset.ceremony);
const texts = JSON.parse(form.dataset.texts);
const first = word.textContent;
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

class Trouble extends Error {
  constructor(name) { super(name); this.name = name; }
}

function trouble(name) {
  document.getElementById("trouble-lead").textContent = texts[name];
  document.getElementById("trouble-text").textContent = texts[name + ".text"];
  const box = document.getElementById("trouble");
  box.hidden = false;
  box.scrollIntoView({ block: "center" });
  button.disabled = false;
  word.textContent = name === "registered" ? first : texts.again;
}

async function send(path, body) {
  const reply = await fetch(address + path, {
    method: "POST", body: JSON.stringify(body), redirect: "error",
    headers: { "Content-Type": "application/json", "X-CSRF": csrf },
  });
  const answer = await reply.json().catch(() => ({}));
  if (reply.ok) return answer;
  if (answer.next) { location.assign(answer.next); return new Promise(() => {}); }
  throw new Trouble("failed");
}

async function register() {
  const made = await navigator.credentials.create({ publicKey: {
    rp: ceremony.rp,
    user: { id: bytes(ceremony.user.id), name: ceremony.user.name, displayName: ceremony.user.displayName },
    challenge: bytes(ceremony.challenge),
    pubKeyCredParams: ceremony.algorithms.map((alg) => ({ type: "public-key", alg })),
    authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
    attestation: "none", timeout: 120000,
  } });
  word.textContent = texts.saving;
  const answer = await send("/passkey", {
    id: made.id, rawId: text(made.rawId), type: made.type,
    response: { clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject) },
  });
  ceremony.credential = answer.credential;
}

// The check code of the page must be the one of the bytes that are signed.
function codeOf(hash) {
  let number = 0n;
  for (const byte of hash.slice(0, 5)) number = number << 8n | BigInt(byte);
  let out = "";
  for (let shift = 35n; shift >= 0n; shift -= 5n) out += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[Number(number >> shift & 31n)];
  return out.slice(0, 4) + "-" + out.slice(4);
}

async function hashOfDocument() {
  const reply = await fetch(address + "/document", { redirect: "error", cache: "no-store" });
  if (!reply.ok) throw new Trouble("failed");
  const body = new Uint8Array(await reply.arrayBuffer());
  const tag = new TextEncoder().encode("xyd-consent-v1\n");
  const whole = new Uint8Array(tag.length + body.length);
  whole.set(tag); whole.set(body, tag.length);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  if (codeOf(hash) !== code) throw new Trouble("altered");
  return hash;
}

async function sign(challenge) {
  const made = await navigator.credentials.get({ publicKey: {
    challenge, rpId: ceremony.rp.id, userVerification: "required", timeout: 120000,
    allowCredentials: [{ type: "public-key", id: bytes(ceremony.credential) }],
  } });
  word.textContent = texts.saving;
  const { clientDataJSON, authenticatorData, signature, userHandle } = made.response;
  return send("/signature", {
    id: made.id, rawId: text(made.rawId), type: made.type,
    response: {
      clientDataJSON: text(clientDataJSON), authenticatorData: text(authenticatorData), signature: text(signature),
      userHandle: userHandle ? text(userHandle) : null,
    },
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  document.getElementById("trouble").hidden = true;
  word.textContent = texts.busy;
  let fresh = false;
  try {
    if (!window.PublicKeyCredential) throw new Trouble("none");
    if (!ceremony.credential) { await register(); fresh = true; word.textContent = texts.busy; }
    const answer = await sign(await hashOfDocument());
    location.assign(answer.next);
  } catch (error) {
    // Some phones ask for a second touch of the button after registering.
    const refused = ["NotAllowedError", "AbortError", "InvalidStateError", "SecurityError"].includes(error.name);
    trouble(error instanceof Trouble ? error.name : refused ? (fresh ? "registered" : "refused") : "failed");
  }
});
