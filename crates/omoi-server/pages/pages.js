// The few pages of the server itself: what links of mails and of the command line lead to. The secret of a link stands
// behind `#`, so that it is in no log; it is taken out of the address before anything else.
"use strict";

const says = document.getElementById("says");
const signIn = document.getElementById("sign-in");
const act = document.getElementById("act");
const secret = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", location.pathname);

function tell(text) {
  says.textContent = text;
}

function csrfToken() {
  const names = [`omoi_csrf_${location.port || 80}`, "__Host-omoi_csrf", "omoi_csrf"];
  const cookies = document.cookie.split(";").map((cookie) => cookie.trim().split("="));
  for (const name of names) {
    const found = cookies.find((cookie) => cookie[0] === name);
    if (found) {
      return found[1];
    }
  }
  return "";
}

// What the API answers: its status and its JSON, where there is some.
async function ask(method, path, body, bearer) {
  const headers = { "X-CSRF-Token": csrfToken() };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  if (bearer) {
    headers.Authorization = `Bearer ${bearer}`;
  }
  const response = await fetch(`/api/v1${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
  });
  const told = await response.json().catch(() => ({}));
  return { ok: response.ok, status: response.status, told };
}

function refusal(answer) {
  const fields = (answer.told.fields ?? []).map((field) => field.message);
  const hint = answer.told.hint ? ` – ${answer.told.hint}` : "";
  return [answer.told.message ?? `status ${answer.status}`, ...fields].join("; ") + hint;
}

async function isSignedIn() {
  const answer = await ask("GET", "/auth/me");
  return answer.ok;
}

// Resolves once somebody is signed in by the cookie of this browser; until then the page says `wish`.
async function signedIn(wish = "Sign in to go on.") {
  if (await isSignedIn()) {
    return;
  }
  if (document.body.dataset.mode === "local") {
    tell("This browser is not signed in. Type `omoi open` in a terminal, follow the link, and come back.");
    return new Promise(() => {});
  }
  tell(wish);
  signIn.hidden = false;
  await new Promise((resolve) => {
    signIn.addEventListener("submit", async (event) => {
      event.preventDefault();
      const form = new FormData(signIn);
      const body = { email: form.get("email"), password: form.get("password") };
      const pair = await ask("POST", "/auth/login", body);
      if (!pair.ok) {
        tell(refusal(pair));
        return;
      }
      const kept = await ask("POST", "/auth/browser-session", undefined, pair.told.access_token);
      if (!kept.ok) {
        tell(refusal(kept));
        return;
      }
      resolve();
    });
  });
  signIn.hidden = true;
}

// Shows a button, and resolves with whether it was the yes.
function choice(yes, no) {
  act.hidden = false;
  document.getElementById("yes").textContent = yes;
  const refuse = document.getElementById("no");
  refuse.hidden = no === undefined;
  refuse.textContent = no ?? "";
  return new Promise((resolve) => {
    act.onsubmit = (event) => {
      event.preventDefault();
      resolve(true);
    };
    refuse.onclick = () => resolve(false);
  });
}

function done(text) {
  act.hidden = true;
  tell(text);
}

const pages = {
  async open() {
    const answer = await ask("POST", "/auth/local-link/exchange", { code: secret });
    if (answer.ok) {
      location.replace("/docs/");
    } else if (await isSignedIn()) {
      location.replace("/docs/");
    } else {
      tell("This link is not good any more. Make another one in a terminal: omoi open");
    }
  },
  async "sign-in"() {
    await signedIn();
    location.replace("/docs/");
  },
  async verify() {
    const answer = await ask("POST", "/auth/verify-email", { token: secret });
    done(answer.ok ? "Your mail address is verified. You may close this page." : refusal(answer));
  },
  async unlock() {
    const answer = await ask("POST", "/auth/unlock", { token: secret });
    done(answer.ok ? "Your account is open again. You may sign in." : refusal(answer));
  },
  async reset() {
    const label = document.getElementById("new-password");
    label.hidden = false;
    tell("Choose a new password. It ends every sign-in of your account.");
    for (;;) {
      await choice("Set the password");
      const body = { token: secret, new_password: new FormData(act).get("password") };
      const answer = await ask("POST", "/auth/reset-password", body);
      if (answer.ok) {
        label.hidden = true;
        done("The password is set. You may sign in with it.");
        return;
      }
      tell(refusal(answer));
    }
  },
  async invite() {
    // Whoever has no account makes one by the link, and is a member with it.
    const newAccount = document.getElementById("new-account");
    let isMade = false;
    newAccount.hidden = false;
    newAccount.addEventListener("click", async () => {
      if (!signIn.reportValidity()) {
        return;
      }
      const form = new FormData(signIn);
      const body = { email: form.get("email"), password: form.get("password"), invitation_token: secret };
      const made = await ask("POST", "/auth/register", body);
      if (made.ok) {
        isMade = true;
        signIn.requestSubmit();
      } else {
        tell(refusal(made));
      }
    });
    await signedIn("You are invited. Sign in, or choose a password and make an account.");
    newAccount.hidden = true;
    const account = await ask("GET", "/auth/me");
    if (isMade && account.ok && account.told.organizations.length > 0) {
      done("You are a member now.");
      return;
    }
    tell("You are invited to an organisation.");
    await choice("Join it");
    const answer = await ask("POST", "/invitations/accept", { token: secret });
    done(answer.ok ? "You are a member now." : refusal(answer));
  },
  async device() {
    await signedIn();
    const path = `/auth/device/${encodeURIComponent(secret)}`;
    const waiting = await ask("GET", path);
    if (!waiting.ok) {
      done(refusal(waiting));
      return;
    }
    tell("");
    const code = document.createElement("code");
    code.textContent = waiting.told.user_code;
    says.append(
      `The command line of “${waiting.told.machine}” asks to act as you. Say yes only where it shows this code: `,
      code,
    );
    const approve = await choice("Let it in", "No");
    const answer = await ask("POST", `${path}/decision`, { approve });
    if (!answer.ok) {
      done(refusal(answer));
    } else {
      done(approve ? "It is signed in. You may close this page." : "It was refused.");
    }
  },
};

pages[document.body.dataset.page]().catch(() => tell("The server does not answer. Try again later."));
