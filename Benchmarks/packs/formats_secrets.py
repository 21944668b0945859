"""Published forms of credentials, one a line: kind | names of variables | form. Source of each form: the vendor's documentation
of its keys, or its own secret scanning list. All values are drawn at random.

`{A36}` are 36 characters of class A, `{A20-40}` 20 to 40; `[one two]` is a choice of words. A kind that ends in `*` has no mark of its own
and is written only where a name says what it is.
"""

import base64
import json
import re
import string

CLASSES = {
    "A": string.ascii_letters + string.digits, "B": string.ascii_letters + string.digits + "+/",
    "C": string.ascii_uppercase, "D": string.digits, "H": string.digits + "abcdef", "L": string.ascii_lowercase + string.digits,
    "S": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", "T": string.ascii_uppercase + "234567",
    "U": string.ascii_uppercase + string.digits, "W": string.ascii_letters + string.digits + "-_", "X": string.digits + "ABCDEF",
    "Q": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", "c": string.ascii_lowercase, "Z": string.ascii_letters,
}
WORDS = "orders billing search media audit ledger portal events reports catalog".split()


def fill(r, form):
    """The form with its choices made."""
    def draw(match):
        kind, least, most = match.group(1), int(match.group(2)), int(match.group(3) or match.group(2))
        text = "".join(r.choices(CLASSES[kind], k=r.randint(least, most)))
        # A sign at the end would belong to the text around it as much as to the key.
        return text if text[-1].isalnum() or kind not in "WB" else text[:-1] + r.choice(CLASSES["A"])
    form = re.sub(r"\[([^][{}\"',]+ [^][{}\"',]+)\]", lambda m: r.choice(m.group(1).split(" ")), form)
    form = form.replace("{uuid}", "{H8}-{H4}-4{H3}-a{H3}-{H12}").replace("{word}", r.choice(WORDS))
    form = re.sub(r"\{(jwt|pass|pem64)\}", lambda m: {"jwt": jwt, "pass": password, "pem64": pem64}[m.group(1)](r), form)
    return re.sub(r"\{([A-Za-z])(\d+)(?:-(\d+))?\}", draw, form)


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def jwt(r):
    body = {"sub": str(r.randrange(10**9)), "iat": 1700000000 + r.randrange(10**7), "scope": r.choice(WORDS)}
    return encoded({"alg": r.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}) + "." + encoded(body) + "." + fill(r, "{W43-86}")


def password(r):
    """As people are made to choose: both cases, digits, a sign that URLs allow."""
    return fill(r, r.choice(["{A6}!{A5}", "{A14-20}", "{Z5}_{D4}{Z5}", "{A7}-{A7}-{A4}", "{A8}.{A8}"])) + r.choice("0123456789")


def pem64(r):
    return base64.b64encode(armour("RSA PRIVATE KEY")(r).encode()).decode()


def armour(label, line=64, form="B"):
    def make(r):
        lines = ["{%s%d}" % (form, line)] * r.randint(5, 12) + ["{%s%d}==" % (form, line // 2)]
        return fill(r, f"-----BEGIN {label}-----\n" + "\n".join(lines) + f"\n-----END {label}-----")
    return make


def service_account(r):
    key = "\\n".join(fill(r, "{B64}") for _ in range(8))
    return ('{"type": "service_account", "project_id": "%s-1", "private_key_id": "%s", "private_key": '
            '"-----BEGIN PRIVATE KEY-----\\n%s\\n-----END PRIVATE KEY-----\\n"}') % (r.choice(WORDS), fill(r, "{H40}"), key)


def putty(r):
    return fill(r, "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: {word}\nPublic-Lines: 2\n{B64}\n{B40}\n"
                   "Private-Lines: 1\n{B48}\nPrivate-MAC: {H64}")


def pgp(r):
    return armour("PGP PRIVATE KEY BLOCK")(r)


# Texts of their own: kind, function.
BLOCKS = {
    **{"private-key/" + label.split(" PRIVATE")[0].lower().replace(" ", "-"): armour(label) for label in (
        "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY")},
    "private-key/pgp": pgp, "private-key/ssh2": armour("SSH2 ENCRYPTED PRIVATE KEY"), "private-key/putty": putty,
    "private-key/service-account": service_account,
}

KEYS = """
aws/access-key|AWS_ACCESS_KEY_ID|[AKIA ASIA ABIA ACCA]{T16}
aws/secret-key*|AWS_SECRET_ACCESS_KEY aws_secret_access_key secretAccessKey|{B40}
aws/session-token|AWS_SESSION_TOKEN aws_session_token|[IQoJb3JpZ2luX2Vj FwoGZXIvYXdzE]{B200-400}
aws/bedrock|AWS_BEARER_TOKEN_BEDROCK|ABSKQmVkcm9ja0FQSUtleS{A90-108}=
aws/bedrock-short|AWS_BEARER_TOKEN_BEDROCK|bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{A100}
aws/mws|MWS_AUTH_TOKEN|amzn.mws.{uuid}
aws/appsync|APPSYNC_API_KEY|da2-{L26}
aws/login-amazon|LWA_CLIENT_SECRET|amzn1.oa2-cs.v1.{H64}
google/api-key|GOOGLE_API_KEY GEMINI_API_KEY|AIza{W35}
google/oauth-token|GOOGLE_TOKEN|ya29.[a0A c.]{W100-180}
google/client-secret|GOOGLE_CLIENT_SECRET|GOCSPX-{W28}
google/refresh-token|GOOGLE_REFRESH_TOKEN|1//0{W60-100}
google/fcm|FCM_SERVER_KEY|AAAA{W7}:APA91b{W134}
google/hmac*|GCS_SECRET|{B40}
google/recaptcha*|RECAPTCHA_SECRET_KEY|6L{W38}
azure/client-secret|AZURE_CLIENT_SECRET|{A3}[7 8]Q~{W34}
azure/storage*|AZURE_STORAGE_KEY|{B86}==
azure/storage-marked|AZURE_STORAGE_KEY|{B76}+ASt{B5}[A Q g w]==
azure/devops|AZURE_DEVOPS_TOKEN|{A76}AZDO{A4}
azure/devops-old*|AZURE_DEVOPS_PAT|{L52}
azure/cask|AZURE_OPENAI_API_KEY|{A52}JQQJ99{A1}[A B C D]{A16}{Z1}{A7}
azure/openai-old*|AZURE_OPENAI_KEY|{H32}
azure/search|AZURE_SEARCH_KEY|{A42}AzSe[A B C D]{A5}
azure/function|AZURE_FUNCTION_KEY|{W44}AzFu{A5}[A Q g w]==
azure/registry|ACR_PASSWORD|{B42}+ACR[A B C D]{A5}
azure/redis|REDIS_KEY|{A33}AzCa[A B C]{A5}=
azure/cognitive*|SPEECH_KEY_SECRET|{H32}
github/classic|GITHUB_TOKEN GH_TOKEN|ghp_{A36}
github/oauth|GITHUB_OAUTH_TOKEN|gho_{A36}
github/user|GITHUB_USER_TOKEN|ghu_{A36}
github/server|GITHUB_TOKEN|ghs_{A36}
github/refresh|GITHUB_REFRESH_TOKEN|ghr_{A36-76}
github/fine|GITHUB_PAT|github_pat_{A22}_{A59}
github/old*|GITHUB_TOKEN|{H40}
gitlab/personal|GITLAB_TOKEN|glpat-{W20}
gitlab/routable|GITLAB_TOKEN|glpat-{W27-51}.01.{L9}
gitlab/deploy|CI_DEPLOY_PASSWORD|gldt-{W20}
gitlab/runner|RUNNER_TOKEN|glrt-{W20}
gitlab/runner-typed|RUNNER_TOKEN|glrt-t[1 2 3]_{W20}
gitlab/registration|REGISTRATION_TOKEN|GR1348941{W20}
gitlab/job|CI_JOB_TOKEN|glcbt-{H2}_{W20}
gitlab/trigger|TRIGGER_TOKEN|glptt-{H40}
gitlab/feed|FEED_TOKEN|glft-{W20}
gitlab/incoming-mail|MAIL_TOKEN|glimt-{L25}
gitlab/agent|AGENT_TOKEN|glagent-{W50}
gitlab/oauth-app|GITLAB_OAUTH_SECRET|gloas-{H64}
gitlab/scim|SCIM_TOKEN|glsoat-{W20}
gitlab/feature|UNLEASH_TOKEN|glffct-{W20}
bitbucket/app|BITBUCKET_APP_PASSWORD|ATBB{A24}{X8}
bitbucket/access|BITBUCKET_TOKEN|ATCTT3xFfGN0{W170}={X8}
bitbucket/server|BITBUCKET_TOKEN|BBDC-{A40-50}
bitbucket/client*|BITBUCKET_CLIENT_SECRET|{A32}
atlassian/api|JIRA_API_TOKEN ATLASSIAN_TOKEN|ATATT3xFfGF0{W170-190}={X8}
atlassian/trello|TRELLO_TOKEN|ATTA{H64}{X8}
atlassian/old*|JIRA_API_TOKEN CONFLUENCE_API_TOKEN|{A24}
slack/bot|SLACK_BOT_TOKEN|xoxb-{D10-13}-{D10-13}-{A24}
slack/user|SLACK_USER_TOKEN|xoxp-{D10-13}-{D10-13}-{D10-13}-{H32}
slack/app|SLACK_APP_TOKEN|xapp-1-A{U10}-{D13}-{H64}
slack/workspace|SLACK_TOKEN|xoxa-2-{D12}-{D12}-{D12}-{H32}
slack/refresh|SLACK_REFRESH_TOKEN|xoxr-{D12}-{D12}-{D12}-{H32}
slack/rotating|SLACK_TOKEN|xoxe.xox[b p]-1-{A163-166}
slack/rotating-refresh|SLACK_REFRESH_TOKEN|xoxe-1-{A146}
slack/cookie|SLACK_COOKIE_D|xoxd-{A30}%2B{A40}%3D
slack/client|SLACK_TOKEN|xoxc-{D12}-{D12}-{D12}-{H64}
slack/signing*|SLACK_SIGNING_SECRET|{H32}
discord/bot|DISCORD_TOKEN|[M N O]{A23-25}.{W6}.{W27-38}
discord/mfa|DISCORD_TOKEN|mfa.{W84}
discord/client*|DISCORD_CLIENT_SECRET|{W32}
telegram/bot|TELEGRAM_BOT_TOKEN|{D8-10}:AA{W33}
twilio/key|TWILIO_API_KEY|SK{H32}
twilio/auth*|TWILIO_AUTH_TOKEN|{H32}
mail/sendgrid|SENDGRID_API_KEY|SG.{W22}.{W43}
mail/mailgun|MAILGUN_API_KEY|key-{H32}
mail/mailgun-new|MAILGUN_API_KEY|{H32}-{H8}-{H8}
mail/mailchimp|MAILCHIMP_API_KEY|{H32}-us{D1-2}
mail/mandrill|MANDRILL_API_KEY|md-{W22}
mail/brevo|BREVO_API_KEY|xkeysib-{H64}-{A16}
mail/brevo-smtp|SMTP_PASSWORD|xsmtpsib-{H64}-{A16}
mail/resend|RESEND_API_KEY|re_{A8}_{A24}
mail/postmark*|POSTMARK_SERVER_TOKEN|{uuid}
mail/sparkpost*|SPARKPOST_API_KEY|{H40}
mail/klaviyo|KLAVIYO_PRIVATE_KEY|pk_{H34}
mail/mailersend|MAILERSEND_API_KEY|mlsn.{H64}
mail/mailjet*|MJ_APIKEY_PRIVATE|{H32}
mail/loops*|LOOPS_API_KEY|{H32}
pay/stripe-live|STRIPE_SECRET_KEY|sk_live_{A24}
pay/stripe-long|STRIPE_SECRET_KEY|sk_[live test]_51{A97}
pay/stripe-restricted|STRIPE_KEY|rk_[live test]_{A24-99}
pay/stripe-test|STRIPE_SECRET_KEY|sk_test_{A24}
pay/stripe-webhook|STRIPE_WEBHOOK_SECRET|whsec_{A32}
pay/square|SQUARE_ACCESS_TOKEN|EAAA{W60}
pay/square-old|SQUARE_TOKEN|sq0atp-{W22}
pay/square-secret|SQUARE_SECRET|sq0csp-{W43}
pay/paypal*|PAYPAL_CLIENT_SECRET|E{W79}
pay/paypal-token|PAYPAL_TOKEN|A21AA{W92}
pay/braintree|BRAINTREE_TOKEN|access_token$production${L16}${H32}
pay/adyen|ADYEN_API_KEY|AQE{A60-90}-{A40}=-{A16}
pay/shopify-access|SHOPIFY_TOKEN|shp[at ca pa]_{H32}
pay/shopify-secret|SHOPIFY_API_SECRET|shpss_{H32}
pay/razorpay|RAZORPAY_KEY_ID|rzp_live_{A14}
pay/razorpay-secret*|RAZORPAY_KEY_SECRET|{A24}
pay/paystack|PAYSTACK_SECRET_KEY|sk_live_{H40}
pay/flutterwave|FLW_SECRET_KEY|FLWSECK_TEST-{H32}-X
pay/plaid|PLAID_ACCESS_TOKEN|access-[production development sandbox]-{uuid}
pay/plaid-secret*|PLAID_SECRET|{H30}
pay/mollie|MOLLIE_API_KEY|live_{A30}
pay/gocardless|GC_ACCESS_TOKEN|live_{W40}
pay/checkout|CHECKOUT_SECRET_KEY|sk_{uuid}
pay/paddle|PADDLE_API_KEY|pdl_[live sdbx]_apikey_01{L24}_{A22}_{A3}
pay/coinbase*|COINBASE_API_SECRET|{A64}
pay/binance*|BINANCE_SECRET_KEY|{A64}
pay/lob|LOB_API_KEY|live_{H35}
pay/xendit|XENDIT_SECRET_KEY|xnd_production_{A52}
pay/mercadopago|MERCADO_PAGO_ACCESS_TOKEN|APP_USR-{D16}-{D6}-{H32}-{D9}
pay/duffel|DUFFEL_TOKEN|duffel_[live test]_{W43}
pay/easypost|EASYPOST_API_KEY|EZ[AK TK]{A54}
pay/shippo|SHIPPO_TOKEN|shippo_[live test]_{H40}
package/npm|NPM_TOKEN|npm_{A36}
package/pypi|PYPI_TOKEN|pypi-AgEIcHlwaS5vcmc{W140-160}
package/test-pypi|TWINE_PASSWORD|pypi-AgENdGVzdC5weXBpLm9yZw{W140-160}
package/rubygems|GEM_HOST_API_KEY|rubygems_{H48}
package/nuget|NUGET_API_KEY|oy2{L43}
package/docker|DOCKER_PASSWORD|dckr_pat_{W27}
package/docker-org|DOCKER_PASSWORD|dckr_oat_{W32}
package/artifactory|ARTIFACTORY_API_KEY|AKCp{D1}{A68}
package/artifactory-ref|ARTIFACTORY_TOKEN|cmVmdGtuOjAxO{A51}
package/crates|CARGO_REGISTRY_TOKEN|cio{A32}
package/clojars|CLOJARS_PASSWORD|CLOJARS_{H60}
package/packagist|COMPOSER_TOKEN|packagist_[ort uut ack acs]_{H68}
package/cloudsmith*|CLOUDSMITH_API_KEY|{H40}
package/hackage*|HACKAGE_TOKEN|{A44}
ai/openai|OPENAI_API_KEY|sk-{A20}T3BlbkFJ{A20}
ai/openai-48|OPENAI_API_KEY|sk-{A48}
ai/openai-project|OPENAI_API_KEY|sk-proj-{W74}T3BlbkFJ{W74}
ai/openai-project-short|OPENAI_API_KEY|sk-proj-{A48}
ai/openai-service|OPENAI_API_KEY|sk-svcacct-{W58}T3BlbkFJ{W58}
ai/openai-admin|OPENAI_ADMIN_KEY|sk-admin-{W58}T3BlbkFJ{W58}
ai/anthropic|ANTHROPIC_API_KEY|sk-ant-api03-{W93}AA
ai/anthropic-admin|ANTHROPIC_ADMIN_KEY|sk-ant-admin01-{W93}AA
ai/anthropic-oauth|CLAUDE_CODE_OAUTH_TOKEN|sk-ant-oat01-{W93}AA
ai/huggingface|HF_TOKEN|hf_{Z34}
ai/huggingface-org|HF_TOKEN|api_org_{Z34}
ai/cohere*|COHERE_API_KEY CO_API_KEY|{A40}
ai/mistral*|MISTRAL_API_KEY|{A32}
ai/replicate|REPLICATE_API_TOKEN|r8_{A37}
ai/groq|GROQ_API_KEY|gsk_{A52}
ai/perplexity|PERPLEXITY_API_KEY PPLX_API_KEY|pplx-{A48}
ai/xai|XAI_API_KEY|xai-{A80}
ai/together|TOGETHER_API_KEY|tgp_v1_{W43}
ai/together-old*|TOGETHER_API_KEY|{H64}
ai/fireworks|FIREWORKS_API_KEY|fw_{A24}
ai/deepseek|DEEPSEEK_API_KEY|sk-{H32}
ai/openrouter|OPENROUTER_API_KEY|sk-or-v1-{H64}
ai/voyage|VOYAGE_API_KEY|pa-{W43}
ai/jina|JINA_API_KEY|jina_{H32}{A28}
ai/elevenlabs|ELEVENLABS_API_KEY|sk_{H48}
ai/assemblyai*|ASSEMBLYAI_API_KEY|{H32}
ai/deepgram*|DEEPGRAM_API_KEY|{H40}
ai/pinecone|PINECONE_API_KEY|pcsk_{A5-6}_{A63}
ai/langsmith|LANGSMITH_API_KEY|lsv2_[pt sk]_{H32}_{H10}
ai/langfuse|LANGFUSE_SECRET_KEY|sk-lf-{uuid}
ai/wandb*|WANDB_API_KEY|{H40}
ai/tavily|TAVILY_API_KEY|tvly-{A32}
ai/tavily-dev|TAVILY_API_KEY|tvly-[dev prod]-{A32}
ai/firecrawl|FIRECRAWL_API_KEY|fc-{H32}
ai/nvidia|NVIDIA_API_KEY|nvapi-{W64}
ai/cerebras|CEREBRAS_API_KEY|csk-{L48}
ai/anyscale|ANYSCALE_API_KEY|esecret_{L26}
ai/modal|MODAL_TOKEN_SECRET|as-{A22}
ai/runpod|RUNPOD_API_KEY|rpa_{U40}{L6}
ai/zhipu|ZHIPU_API_KEY|{H32}.{A16}
ai/baseten|BASETEN_API_KEY|{A8}.{A32}
ai/serpapi*|SERPAPI_API_KEY|{H64}
ai/cursor|CURSOR_API_KEY|key_{H64}
ai/stability|STABILITY_API_KEY|sk-{A48}
ai/llamaindex|LLAMA_CLOUD_API_KEY|llx-{A48}
ai/exa*|EXA_API_KEY|{uuid}
ai/unstructured*|UNSTRUCTURED_API_KEY|{A30}
ai/openpipe|OPENPIPE_API_KEY|opk_{H34}
ai/helicone|HELICONE_API_KEY|sk-helicone-{L7}-{L7}-{L7}-{L7}
ai/livekit*|LIVEKIT_API_SECRET|{A43}
ops/datadog*|DD_API_KEY DATADOG_API_KEY|{H32}
ops/datadog-app*|DD_APP_KEY DATADOG_APP_KEY|{H40}
ops/newrelic|NEW_RELIC_API_KEY|NRAK-{U27}
ops/newrelic-license|NEW_RELIC_LICENSE_KEY|{H36}NRAL
ops/newrelic-insert|NEW_RELIC_INSERT_KEY|NRI[I Q]-{W32}
ops/newrelic-browser|NEW_RELIC_BROWSER_KEY|NRJS-{H19}
ops/grafana-service|GRAFANA_TOKEN|glsa_{A32}_{H8}
ops/grafana-cloud|GRAFANA_CLOUD_TOKEN|glc_eyJ{B80-140}=
ops/grafana-key|GRAFANA_API_KEY|eyJrIjoi{A70-100}
ops/sentry-org|SENTRY_AUTH_TOKEN|sntrys_eyJ{A100-140}_{B43}
ops/sentry-user|SENTRY_AUTH_TOKEN|sntryu_{H64}
ops/honeycomb|HONEYCOMB_API_KEY|hc[a b]ik_01{L56}
ops/honeycomb-old*|HONEYCOMB_WRITEKEY_SECRET|{H32}
ops/pagerduty*|PAGERDUTY_TOKEN|u+{W18}
ops/pagerduty-key*|PAGERDUTY_API_KEY|{W20}
ops/dynatrace|DT_API_TOKEN|dt0[c01 s01 s16].{T24}.{T64}
ops/elastic|ELASTIC_API_KEY|essu_{B60}==
ops/elastic-key*|ELASTICSEARCH_API_KEY|{B58}==
ops/splunk*|SPLUNK_HEC_TOKEN|{uuid}
ops/signalfx*|SFX_ACCESS_TOKEN|{W22}
ops/sumologic*|SUMO_ACCESS_KEY|{A64}
ops/rollbar*|ROLLBAR_ACCESS_TOKEN|{H32}
ops/opsgenie*|OPSGENIE_API_KEY|{uuid}
ops/axiom|AXIOM_TOKEN|xa[a p]t-{uuid}
ops/checkly|CHECKLY_API_KEY|cu_{H32}
ops/posthog|POSTHOG_PERSONAL_API_KEY|phx_{A43}
ops/logfire|LOGFIRE_TOKEN|pylf_v1_[us eu]_{A43}
ops/bugsnag*|BUGSNAG_API_KEY|{H32}
ops/betterstack*|LOGTAIL_SOURCE_TOKEN|{A24}
ops/lightstep*|LIGHTSTEP_ACCESS_TOKEN|{A60}
ops/sonar|SONAR_TOKEN|sq[u p a]_{H40}
ops/snyk*|SNYK_TOKEN|{uuid}
ops/circleci|CIRCLE_TOKEN|CCI[PAT PRJ]_{A22}_{H40}
ops/circleci-old*|CIRCLECI_TOKEN|{H40}
ops/buildkite|BUILDKITE_API_TOKEN|bkua_{H40}
ops/jenkins|JENKINS_TOKEN|11{H32}
ops/launchdarkly|LAUNCHDARKLY_SDK_KEY|[sdk api]-{uuid}
ops/sourcegraph|SRC_ACCESS_TOKEN|sgp_{H16}_{H40}
ops/codecov*|CODECOV_TOKEN|{uuid}
ops/harness|HARNESS_TOKEN|pat.{A22}.{H24}.{A20}
ops/octopus|OCTOPUS_API_KEY|API-{U25-29}
ops/prefect|PREFECT_API_KEY|pnu_{A36}
ops/dbt|DBT_TOKEN|dbt[c u]_{W40}
ops/statsig|STATSIG_SERVER_SECRET|secret-{A43}
ops/tailscale|TS_AUTHKEY|tskey-[auth api client]-{A12}CNTRL-{A32}
ops/ngrok*|NGROK_AUTHTOKEN|{A27}_{A21}
ops/travis*|TRAVIS_TOKEN|{A22}
ops/drone*|DRONE_TOKEN|{A32}
ops/scalr|SCALR_TOKEN|{jwt}
ops/spacelift*|SPACELIFT_API_KEY_SECRET|{H64}
cloud/cloudflare*|CLOUDFLARE_API_TOKEN CF_API_TOKEN|{W40}
cloud/cloudflare-global*|CLOUDFLARE_API_KEY|{H37}
cloud/cloudflare-ca|ORIGIN_CA_KEY|v1.0-{H24}-{H146}
cloud/digitalocean|DIGITALOCEAN_TOKEN|do[p o r]_v1_{H64}
cloud/do-spaces|SPACES_KEY_ID|DO00{U16}
cloud/fastly*|FASTLY_API_TOKEN|{W32}
cloud/heroku*|HEROKU_API_KEY|{uuid}
cloud/heroku-new|HEROKU_API_KEY|HRKU-AA{W58}
cloud/vercel*|VERCEL_TOKEN|{A24}
cloud/netlify|NETLIFY_AUTH_TOKEN|nfp_{A36}
cloud/netlify-old*|NETLIFY_AUTH_TOKEN|{W43}
cloud/fly|FLY_API_TOKEN|FlyV1 fm2_{B200}
cloud/fly-old|FLY_API_TOKEN|fo1_{W43}
cloud/linode*|LINODE_TOKEN|{H64}
cloud/hetzner*|HCLOUD_TOKEN|{A64}
cloud/scaleway|SCW_ACCESS_KEY|SCW{U17}
cloud/scaleway-secret*|SCW_SECRET_KEY|{uuid}
cloud/vultr*|VULTR_API_KEY|{U36}
cloud/alibaba|ALICLOUD_ACCESS_KEY|LTAI{A20}
cloud/alibaba-secret*|ALICLOUD_SECRET_KEY|{A30}
cloud/tencent|TENCENTCLOUD_SECRET_ID|AKID{A32}
cloud/tencent-secret*|TENCENTCLOUD_SECRET_KEY|{A32}
cloud/yandex|YC_API_KEY|AQVN{W35}
cloud/yandex-iam|YC_TOKEN|t1.9eu{W80-120}.{W86}
cloud/yandex-oauth|YANDEX_OAUTH_TOKEN|y0_{W55}
cloud/yandex-static*|YC_SECRET_KEY|YC{W38}
cloud/ibm*|IBMCLOUD_API_KEY|{W44}
cloud/render|RENDER_API_KEY|rnd_{A28}
cloud/railway*|RAILWAY_TOKEN|{uuid}
cloud/backblaze|B2_APPLICATION_KEY|K00{D1}{B27}
cloud/ovh*|OVH_APPLICATION_SECRET|{H32}
cloud/bunny*|BUNNY_API_KEY|{uuid}{H8}-{H4}
cloud/ngc*|NGC_API_KEY|{B84}
data/supabase|SUPABASE_ACCESS_TOKEN|sbp_{H40}
data/supabase-secret|SUPABASE_SERVICE_KEY|sb_secret_{W22}_{W8}
data/supabase-jwt|SUPABASE_SERVICE_ROLE_KEY|{jwt}
data/planetscale|PLANETSCALE_TOKEN|pscale_[tkn pw oauth]_{W43}
data/neon|NEON_API_KEY|napi_{L64}
data/databricks|DATABRICKS_TOKEN|dapi{H32}
data/databricks-v2|DATABRICKS_TOKEN|dapi{H32}-[2 3]
data/mongodb|MONGODB_ATLAS_SECRET|mdb_sa_sk_{W40}
data/aiven|PGPASSWORD|AVNS_{W19}
data/snowflake*|SNOWFLAKE_PASSWORD|{pass}
data/confluent*|CONFLUENT_API_SECRET|{B64}
data/algolia*|ALGOLIA_ADMIN_KEY|{H32}
data/mapbox|MAPBOX_SECRET_TOKEN|sk.eyJ1Ijoi{A80-100}.{W22}
data/influx*|INFLUX_TOKEN|{W86}==
data/airtable|AIRTABLE_TOKEN|pat{A14}.{H64}
data/airtable-key*|AIRTABLE_API_KEY|key{A14}
data/redis-cloud*|REDIS_PASSWORD|{A32}
data/turso|TURSO_AUTH_TOKEN|{jwt}
data/contentful|CONTENTFUL_TOKEN|CFPAT-{W43}
data/tinybird|TB_TOKEN|p.eyJ1Ijoi{A76}.{W43}
data/motherduck|MOTHERDUCK_TOKEN|{jwt}
id/okta*|OKTA_API_TOKEN|00{W40}
id/auth0*|AUTH0_CLIENT_SECRET|{W64}
id/onepassword|OP_SERVICE_ACCOUNT_TOKEN|ops_eyJ{A260-300}
id/onepassword-secret|OP_SECRET_KEY|A3-{U6}-{U6}-{U5}-{U5}-{U5}-{U5}
id/doppler|DOPPLER_TOKEN|dp.[pt ct sa scim audit].{A40-44}
id/doppler-service|DOPPLER_TOKEN|dp.st.[dev prd].{A40-44}
id/vault|VAULT_TOKEN|hv[s b r].{W90-110}
id/vault-old|VAULT_TOKEN|s.{A24}
id/terraform|TF_TOKEN_app_terraform_io|{A14}.atlasv1.{W67}
id/pulumi|PULUMI_ACCESS_TOKEN|pul-{H40}
id/infisical|INFISICAL_TOKEN|st.{H24}.{H32}.{H32}
id/age|AGE_KEY|AGE-SECRET-KEY-1{Q58}
id/jwt|ID_TOKEN|{jwt}
id/clerk|CLERK_SECRET_KEY|sk_[live test]_{A42}
id/stytch|STYTCH_SECRET|secret-[live test]-{W36}=
id/workos|WORKOS_API_KEY|sk_live_{A46}
id/frontegg*|FRONTEGG_API_KEY|{uuid}
id/ory|ORY_API_KEY|ory_[at pat st]_{A43}
work/linear|LINEAR_API_KEY|lin_api_{A40}
work/linear-oauth|LINEAR_TOKEN|lin_oauth_{H64}
work/notion|NOTION_TOKEN|secret_{A43}
work/notion-new|NOTION_TOKEN|ntn_{D11}{A35}
work/asana|ASANA_TOKEN|[1 0]/{D16}:{H32}
work/asana-new|ASANA_TOKEN|2/{D16}/{D16}:{H32}
work/figma|FIGMA_TOKEN|figd_{W40}
work/postman|POSTMAN_API_KEY|PMAK-{H24}-{H34}
work/hubspot|HUBSPOT_TOKEN|pat-[na1 eu1]-{uuid}
work/intercom|INTERCOM_TOKEN|dG9rOg{A52}=
work/typeform|TYPEFORM_TOKEN|tfp_{W44}_{A14}
work/salesforce|SF_ACCESS_TOKEN|00D{A12}!AQ{A94}
work/dropbox|DROPBOX_TOKEN|sl.{W130-150}
work/zendesk*|ZENDESK_API_TOKEN|{A40}
work/monday|MONDAY_TOKEN|{jwt}
work/clickup|CLICKUP_TOKEN|pk_{D7}_{U32}
work/calendly|CALENDLY_TOKEN|{jwt}
work/readme|README_API_KEY|rdme_{L70}
work/webex*|WEBEX_ACCESS_TOKEN|{A64}
work/todoist*|TODOIST_API_TOKEN|{H40}
work/miro*|MIRO_ACCESS_TOKEN|{W27}
work/frameio|FRAMEIO_TOKEN|fio-u-{W64}
work/deepl|DEEPL_AUTH_KEY|{uuid}:fx
work/rapidapi|RAPIDAPI_KEY|{H10}msh{H15}p1{H5}jsn{H12}
social/facebook|FB_ACCESS_TOKEN|EAA{A150-190}
social/twitter|TWITTER_BEARER_TOKEN|AAAAAAAAAAAAAAAAAAAAA{A30}%2B{A50}
social/twitter-secret*|TWITTER_API_SECRET|{A50}
social/twitch*|TWITCH_CLIENT_SECRET|{L30}
social/instagram|IG_ACCESS_TOKEN|IGQVJ{A150-170}
social/linkedin|LINKEDIN_CLIENT_SECRET|WPL_AP1.{A16}.{A8}=
social/spotify*|SPOTIFY_CLIENT_SECRET|{H32}
social/tiktok*|TIKTOK_CLIENT_SECRET|{A32}
social/reddit*|REDDIT_CLIENT_SECRET|{W27}
social/line*|LINE_CHANNEL_SECRET|{H32}
social/ably|ABLY_API_KEY|{A6}.{A6}:{W43}
social/pusher*|PUSHER_APP_SECRET|{H20}
social/vonage*|VONAGE_API_SECRET|{A16}
social/messagebird*|MESSAGEBIRD_ACCESS_KEY|{A25}
wallet/ethereum*|ETH_PRIVATE_KEY PRIVATE_KEY|0x{H64}
wallet/infura*|INFURA_API_KEY_SECRET|{H32}
wallet/alchemy*|ALCHEMY_API_KEY|{W32}
""".strip("\n").split("\n")
