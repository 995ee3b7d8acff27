"""Secrets and what only looks like them: one table for tests and benchmarks.

`TEMPLATES` are published formats; `fill` makes keys of them from a seed, with their checksums, so
that no key stands in this file. `<H32>` is 32 random characters of an alphabet (see `ALPHABETS`),
`<UUID>` a random UUID, `<CRC>` the CRC-32 in base 62 of what stands before it after the prefix.
A template with `{name}` is known by the name of its service only.
"""

from __future__ import annotations

import base64
import json
import random
import re
import string
import uuid
import zlib
from typing import NamedTuple

_LOWER, _UPPER, _DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALPHABETS = {
    "H": "0123456789abcdef",
    "L": _LOWER + _DIGITS,
    "U": _UPPER + _DIGITS,
    "S": _UPPER + "234567",
    "A": _LOWER + _UPPER + _DIGITS,
    "T": _LOWER + _UPPER,
    "W": _LOWER + _UPPER + _DIGITS + "_-",
    "B": _LOWER + _UPPER + _DIGITS + "+/",
    "D": _DIGITS,
}
_PLACE = re.compile(r"<(?:([HLUSATWBD])(\d+)|(UUID|CRC))>")

# kind, format
TEMPLATES: tuple[tuple[str, str], ...] = (
    ("1password-secret-key", "A3-<U6>-<U6>-<U5>-<U5>-<U5>-<U5>"),
    ("1password-token", "ops_eyJ<A300>"),
    ("adafruit-key", "aio_<A28>"),
    ("adobe-secret", "p8e-<W32>"),
    ("airtable-token", "pat<A14>.<H64>"),
    ("alibaba-access-key", "LTAI<A20>"),
    ("anthropic-key", "sk-ant-api03-<W93>AA"),
    ("apify-token", "apify_api_<A36>"),
    ("asana-token", "1/12<D14>:<H32>"),
    ("atlassian-token", "ATATT3xFfGF0<W180>=<U8>"),
    ("authress-key", "sc_<L10>.<L4>.acc-<L16>.<W43>"),
    ("aws-access-key", "AKIA<S16>"),
    ("aws-access-key", "ASIA<S16>"),
    ("aws-bedrock-key", "ABSK<A109>="),
    ("azure-client-secret", "<A3>8Q~<A34>"),
    ("azure-devops-token", "<A76>AZDO<A4>"),
    ("azure-storage-key", "AccountName=files;AccountKey=<B86>=="),
    ("aws-appsync-key", "da2-<L26>"),
    ("bannerbear-key", "bb_pr_<H30>"),
    ("bitbucket-token", "ATBB<A32>"),
    ("buildkite-token", "bkua_<L40>"),
    ("circleci-token", "CCIPAT_<A22>_<H40>"),
    ("clickhouse-key", "4b1d<A38>"),
    ("clickup-token", "pk_<D8>_<U32>"),
    ("clojars-token", "CLOJARS_<L60>"),
    ("close-key", "api_<A22>.<A22>"),
    ("cloudflare-key", "v1.0-<H24>-<H146>"),
    ("contentful-token", "CFPAT-<W43>"),
    ("crates-token", "cio<A32>"),
    ("databricks-token", "dapi<H32>"),
    ("digitalocean-token", "dop_v1_<H64>"),
    ("discord-token", "MT<A24>.G<A5>.<W38>"),
    ("discord-webhook", "https://discord.com/api/webhooks/<D18>/<A68>"),
    ("docker-token", "dckr_pat_<W27>"),
    ("doppler-token", "dp.pt.<A43>"),
    ("dropbox-token", "sl.<W135>"),
    ("duffel-token", "duffel_live_<W43>"),
    ("dynatrace-token", "dt0c01.<U24>.<U64>"),
    ("easypost-key", "EZAK<A54>"),
    ("elevenlabs-key", "sk_<H48>"),
    ("facebook-token", "4<D14>|<W27>"),
    ("facebook-token", "EAAM<A160>"),
    ("figma-token", "figd_<W40>"),
    ("flutterwave-key", "FLWSECK-<H32>-X"),
    ("fly-token", "fo1_<W43>"),
    ("frameio-token", "fio-u-<W64>"),
    ("github-token", "ghp_<A30><CRC>"),
    ("github-token", "gho_<A30><CRC>"),
    ("github-token", "github_pat_<A22>_<A59>"),
    ("gitlab-token", "glpat-<W20>"),
    ("gitlab-token", "glrt-<W20>"),
    ("google-api-key", "AIza<W35>"),
    ("google-oauth-secret", "GOCSPX-<W28>"),
    ("google-oauth-token", "ya29.<W120>"),
    ("grafana-key", "glsa_<A32>_<H8>"),
    ("groq-key", "gsk_<A52>"),
    ("harness-token", "pat.<A22>.<H24>.<A20>"),
    ("heroku-key", "HRKU-AA<A58>"),
    ("hubspot-token", "pat-na1-<UUID>"),
    ("huggingface-token", "hf_<T34>"),
    ("infracost-key", "ico-<A32>"),
    ("jfrog-key", "AKCp<A69>"),
    ("langchain-key", "lsv2_pt_<H32>_<H10>"),
    ("langfuse-key", "sk-lf-<UUID>"),
    ("launchdarkly-key", "sdk-<H8>-<H4>-4<H3>-<H4>-<H12>"),
    ("linear-key", "lin_api_<A40>"),
    ("linkedin-secret", "WPL_AP1.<A16>.<A6>=="),
    ("lob-key", "live_<H35>"),
    ("mailchimp-key", "<H32>-us12"),
    ("mailersend-token", "mlsn.<H64>"),
    ("mailgun-key", "key-<H32>"),
    ("mandrill-key", "md-<A22>"),
    ("mapbox-token", "sk.eyJ<A90>.<A22>"),
    ("maxmind-key", "<A6>_<A29>_mmk"),
    ("mongodb-atlas-secret", "mdb_sa_sk_<W40>"),
    ("neon-key", "napi_<L64>"),
    ("netlify-token", "nfp_<A36>"),
    ("new-relic-key", "NRAK-<U27>"),
    ("notion-token", "ntn_<A46>"),
    ("npm-token", "npm_<A30><CRC>"),
    ("nuget-key", "oy2<L43>"),
    ("nvidia-key", "nvapi-<W64>"),
    ("octopus-key", "API-<U26>"),
    ("openai-key", "sk-<A20>T3BlbkFJ<A20>"),
    ("openai-key", "sk-proj-<W74>T3BlbkFJ<W74>"),
    ("openrouter-key", "sk-or-v1-<H64>"),
    ("openshift-token", "sha256~<W43>"),
    ("packagist-token", "packagist_uut_<H68>"),
    ("paypal-token", "access_token$production$<L16>$<H32>"),
    ("perplexity-key", "pplx-<A48>"),
    ("pinecone-key", "pcsk_<A6>_<A63>"),
    ("plaid-token", "access-production-<UUID>"),
    ("planetscale-token", "pscale_tkn_<A43>"),
    ("posthog-key", "phx_<A47>"),
    ("postman-key", "PMAK-<H24>-<H34>"),
    ("prefect-key", "pnu_<A36>"),
    ("pulumi-token", "pul-<H40>"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc<W140>"),
    ("razorpay-key", "rzp_live_<A14>"),
    ("readme-key", "rdme_<L70>"),
    ("render-key", "rnd_<A32>"),
    ("replicate-token", "r8_<A37>"),
    ("resend-key", "re_<A8>_<A24>"),
    ("rubygems-key", "rubygems_<H48>"),
    ("salesforce-token", "00<A13>!<A96>"),
    ("sendgrid-key", "SG.<A22>.<A43>"),
    ("sendinblue-key", "xkeysib-<H64>-<A16>"),
    ("sentry-token", "sntryu_<H64>"),
    ("shippo-token", "shippo_live_<H40>"),
    ("shopify-token", "shpat_<H32>"),
    ("slack-token", "xoxb-<D12>-<D12>-<A24>"),
    ("slack-token", "xapp-1-A<U10>-<D13>-<H64>"),
    ("slack-webhook", "https://hooks.slack.com/services/T<U8>/B<U10>/<A24>"),
    ("sonar-token", "sqp_<H40>"),
    ("sourcegraph-token", "sgp_<H16>_<H40>"),
    ("square-token", "sq0atp-<A22>"),
    ("stripe-key", "sk_live_<A24>"),
    ("stripe-key", "rk_test_<A99>"),
    ("stripe-webhook-secret", "whsec_<A32>"),
    ("supabase-key", "sbp_<H40>"),
    ("tailscale-key", "tskey-auth-<A12>CNTRL-<A32>"),
    ("tavily-key", "tvly-<A32>"),
    ("telegram-token", "<D9>:AA<W33>"),
    ("tencent-secret-id", "AKID<A32>"),
    ("terraform-token", "<A14>.atlasv1.<A67>"),
    ("trello-token", "ATTA<H64>"),
    ("twilio-key", "SK<H32>"),
    ("typeform-token", "tfp_<A44>"),
    ("vault-token", "hvs.<A90>"),
    ("xai-key", "xai-<A80>"),
    ("yandex-key", "AQVN<A36>"),
    ("algolia-key", "{algolia}<H32>"),
    ("aws-secret-key", "{aws}<B40>"),
    ("binance-key", "{binance}<A64>"),
    ("cloudflare-key", "{cloudflare}<H37>"),
    ("cohere-key", "{cohere}<A40>"),
    ("datadog-key", "{datadog}<H32>"),
    ("deepgram-key", "{deepgram}<H40>"),
    ("heroku-key", "{heroku}<UUID>"),
    ("mistral-key", "{mistral}<A32>"),
    ("okta-token", "{okta}00<A40>"),
    ("spotify-secret", "{spotify}<H32>"),
    ("snyk-token", "{snyk}<UUID>"),
    ("weights-and-biases-key", "{wandb}<H40>"),
    ("zendesk-token", "{zendesk}<A40>"),
    ("dependency-track-key", "odt_<A32>"),
    ("flexport-token", "shltm_<W40>"),
    ("fullstory-key", "na1.<B100>"),
    ("iex-cloud-key", "sk_<H32>"),
    ("ionic-token", "ion_<A42>"),
    ("mailsac-key", "k_<A40>"),
    ("nightfall-key", "NF-<A32>"),
    ("pagarme-key", "ak_live_<A30>"),
    ("password-hash", "$2b$12$<A53>"),
    ("password-hash", "$6$<A8>$<A86>"),
    ("password-hash", "$argon2id$v=19$m=65536,t=3,p=4$<A22>$<A43>"),
    ("pganalyze-key", "pgar_<A27>"),
    ("scrapfly-key", "scp-live-<H32>"),
    ("spectral-key", "spu-<H32>"),
    ("storecove-key", "storecove_<A43>"),
    ("supernotes-key", "supernotes_sk-<A40>"),
    ("teamwork-token", "tkn.v1_<A79>="),
    ("telnyx-key", "KEY<W55>"),
    ("ticket-tailor-key", "sk_<D4>_<D6>_<H32>"),
    ("ubidots-token", "BBFF-<A30>"),
    ("chartmogul-key", "{chartmogul}<L32>"),
    ("cloudsmith-key", "{cloudsmith}<H40>"),
    ("coda-key", "{coda_api}<UUID>"),
    ("kubernetes-token", "{kubeadm}<L6>.<L16>"),
    ("mailjet-key", "{mailjet}<H32>"),
    ("squarespace-key", "{squarespace}<UUID>"),
    ("vault-unseal-key", "{unseal}<B44>"),
)


class Case(NamedTuple):
    """`kind` is what a finding is called, or None where there is to be none; `value` is the part of
    the text that the finding has to cover."""

    text: str
    kind: str | None
    value: str = ""


def fill(template: str, rng: random.Random) -> str:
    """A key in a format."""
    made = ""
    last = 0
    for place in _PLACE.finditer(template):
        made += template[last : place.start()]
        last = place.end()
        alphabet, count, word = place.groups()
        if word == "UUID":
            made += str(uuid.UUID(int=rng.getrandbits(128), version=4))
        elif word == "CRC":
            made += _base62(zlib.crc32(made.partition("_")[2].encode()))
        else:
            made += _some(ALPHABETS[alphabet], int(count), rng)
    return made + template[last:]


def _some(alphabet: str, count: int, rng: random.Random) -> str:
    """Random characters; the first and last are letters or digits, as a key does not look cut."""
    while True:
        some = "".join(rng.choices(alphabet, k=count))
        if some[0].isalnum() and some[-1].isalnum() and (count < 8 or len(set(some)) > 3):
            return some


def _base62(number: int) -> str:
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = (_DIGITS + _UPPER + _LOWER)[digit] + digits
    return digits


def generated(seed: int) -> list[Case]:
    """A key of each template, in four surroundings each."""
    rng = random.Random(seed)
    cases = []
    for kind, template in TEMPLATES:
        name, key = None, fill(template, rng)
        if key.startswith("{"):
            name, _, key = key[1:].partition("}")
        label = name or "service"
        texts = [
            f"{label.upper()}_API_KEY={key}",
            json.dumps({f"{label}_token": key}),
            f'client = Client({label}_key="{key}")',
            f"Use this {label} key for now: {key}. It is valid for a week.",
        ]
        if name is None:
            texts[3] = f"Try `{key}` and tell me whether it works."
        cases += [Case(text, kind, key) for text in texts]
    return cases


def structures(seed: int) -> list[Case]:
    """Private keys, tokens with inner structure, connection strings and configuration."""
    rng = random.Random(seed)

    def some(alphabet: str, count: int) -> str:
        return _some(ALPHABETS[alphabet], count, rng)

    def pem(name: str) -> str:
        body = "\n".join(some("B", 64) for _ in range(12))
        return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----"

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    jwt = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': some('D', 9)})}.{some('W', 43)}"
    password = f"{some('A', 5)}%9{some('A', 4)}"
    basic = base64.b64encode(f"deploy:{password}".encode()).decode()
    cases: list[Case] = []
    for name in (
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ):
        block = pem(name)
        cases.append(Case(f"Here it is:\n{block}\nKeep it.", "private-key", block))
        escaped = block.replace("\n", "\\n")
        cases.append(Case(f'{{"private_key": "{escaped}"}}', "private-key", escaped))
    putty = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n" + some(
        "B", 48
    )
    cases += [
        Case(putty, "private-key", putty),
        Case('{"kty":"EC","crv":"P-256","d":"' + (d := some("W", 43)) + '"}', "private-key", d),
        Case(f"token: {jwt}", "jwt", jwt),
        Case(f"Authorization: Bearer {jwt}", "jwt", jwt),
        Case(f"Authorization: Basic {basic}", "authorization", basic),
        Case(f"Authorization: Bearer {(b := some('A', 40))}", "authorization", b),
        Case(f"curl -u deploy:{password} https://intranet/x", "password", password),
        Case(f"postgresql://app:{password}@db.internal:5432/app", "url-password", password),
        Case(f"mongodb+srv://app:{password}@cluster0.mongodb.net/x", "url-password", password),
        Case(f"amqps://app:{password}@mq/vhost", "url-password", password),
        Case(f"redis://:{password}@cache:6379/0", "url-password", password),
        Case(f"https://ci:{password}@git.internal/a.git", "url-password", password),
        Case("https://deploy:letmein@git.nordpost.se/a.git", "url-password", "letmein"),
        Case(f"machine ftp.nordpost.se login ada password {password}", "password", password),
        Case(f'curl -u "{(u := some("A", 24))}:" https://intranet/x', "password", u),
        Case(f"token: ey{some('A', 20)}.ey{some('A', 30)}.{some('W', 30)}", "jwt", "ey"),
        Case(f"data:\n  a: {(d2 := some('A', 40))}\nkind: Secret", "credential", d2),
        Case(f"deploy-token-{(j := some('H', 24))}", "credential", j),
        Case(f"access key abcdefghijklmnopqrstuvwxyz{some('D', 6)}", "credential", "abcdefgh"),
        Case(f"jdbc:mysql://db/app?user=app&password={password}", "password", password),
        Case(f"Server=db;Database=app;Uid=app;Pwd={password};", "password", password),
        Case(f"DB_PASSWORD={password}", "password", password),
        Case(f"spring.datasource.password: {password}", "password", password),
        Case(f'"password": "{password}"', "password", password),
        Case(f"password = '{password}'", "password", password),
        Case(f"[mail]\npasswd={password}\n", "password", password),
        Case(f"<password>{password}</password>", "password", password),
        Case(f'<add key="SmtpPassword" value="{password}" />', "password", password),
        Case(f'if (password == "{password}") {{', "password", password),
        Case(f"The password is {password} for all of them.", "password", password),
        Case(f"mysql --password={password} app", "password", password),
        Case(f'secret_key = "{(k := some("A", 50))}"', "password", k),
        Case("userKey = '3f0c2a7e-9d41-4b1e-8c55-2b6a90d1e7f4'", "credential", "3f0c2a7e"),
        Case(f"my key, {(h := some('H', 40))}, still works", "credential", h),
        Case(f'x = "{(q := some("A", 44))}"', "high-entropy", q),
    ]
    return cases


CLEAN: tuple[str, ...] = (
    "https://www.example.com/help/find-records-in-access-5f1c7a52-3b1d-4e0f-9c55-0e1a7f2b6c11",
    "1. **password (VARCHAR(255)):** a hash",
    'a voice with the weight of secrets. "And I am here to see that the game goes on."',
    # Examples and places to fill in.
    "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "export GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "openai.api_key = 'your-api-key-here'",
    'api_key = "<your-key>"',
    "api_key: ${API_KEY}",
    "password: {{ vault_password }}",
    "password = os.environ['DB_PASSWORD']",
    "DB_PASSWORD=changeme",
    'password = "********"',
    "token = %(token)s",
    "SECRET_KEY = config('SECRET_KEY')",
    "Authorization: Bearer YOUR_ACCESS_TOKEN",
    "Authorization: Bearer <token>",
    "postgresql://user:password@localhost:5432/mydb",
    "mongodb://<user>:<password>@host/db",
    "https://username:${TOKEN}@github.com/a/b.git",
    "curl -u username:password https://api.example.com",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "https://user:password@git.example.com/a.git",
    "https://user:letmein@localhost/a.git",
    "getX509HTTPSProxyHandlerForKeyStore2 is the key of it",
    "the key internationalization-characteristics",
    # Code that speaks of secrets.
    "def check(password: str, token: str | None = None) -> bool:",
    "const token = await getAccessToken(user.id);",
    "password = request.form['password']",
    "secret = secrets.token_hex(32)",
    'input type="password" name="password" placeholder="Password"',
    '{"password": "Password is required"}',
    "password_hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt(12))",
    "if (password.length < 8) throw new Error('Password too short');",
    "key = lambda item: item['created_at']",
    "for key, value in sorted(data.items()):",
    'api_key_header = APIKeyHeader(name="X-API-Key")',
    'user.password = "secret"',
    "mysql -u root -p",
    "auth = b'Basic ' + base64.b64encode(userpass)",
    "private_key: PKCS7PrivateKeyTypes,",
    "secret_type = 'Cloud Storage access key'",
    "'HTTPPasswordMgr', 'HTTPPasswordMgrWithDefaultRealm',",
    "host, port, access_key, secret_key = s3_server['connection']",
    "key = x25519.X25519PublicKey.from_public_bytes(data)",
    # Prose.
    "The secret of a good soup is patience; the key is salt.",
    "Choose a passphrase such as correct horse battery staple.",
    "Your password must have at least 12 characters, one digit and one symbol.",
    "The token ring of IEEE 802.5-1998 was replaced by Ethernet.",
    "Access to the API is described in section 4.2.1-beta of the manual.",
    # Random, and no secret: digests, identifiers, versions.
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "The key file has the md5 5d41402abc4b2a76b9719d911017c592.",
    # A time and a machine.
    'const userKey = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";',
    "request id 123e4567-e89b-12d3-a456-426614174000 took 20 ms",
    "https://cdn.jsdelivr.net/npm/bootstrap@5.3.0/dist/css/bootstrap.min.css",
    "eyJub3QiOiJhIGp3dCJ9.eyJub3QiOiJvbmUifQ is no token",
    "see /usr/lib/x86_64-linux-gnu/libsecret-1.so.0",
    "https://url:8000 @something else",
)
