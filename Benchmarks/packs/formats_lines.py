"""Credentials by the lines, headers, commands and addresses in which they stand."""

# Lines of files and headers: what comes before the value, the value's form, what comes after.
LINES = """
header/bearer|Authorization: Bearer |{W32-80}|
header/bearer-curl|curl -s -H "Authorization: Bearer |{A40}|" https://api.orders.io/v1/items
header/bearer-json|{"headers": {"Authorization": "Bearer |{W40}|"}}
header/basic|Authorization: Basic |{B28}==|
header/basic-curl|curl -X POST -H 'Authorization: Basic |{B36}|' https://api.orders.io/v1
header/token|Authorization: token |{H40}|
header/x-api-key|X-API-Key: |{A32}|
header/x-api-key-curl|curl -H "x-api-key: |{A40}|" https://api.orders.io
header/apikey-lower|apikey: |{H40}|
header/x-auth-token|X-Auth-Token: |{W48}|
header/private-token|PRIVATE-TOKEN: |{W20}|
header/x-vault-token|X-Vault-Token: |{A26}|
header/splunk|Authorization: Splunk |{uuid}|
header/elastic|Authorization: ApiKey |{B58}==|
header/opsgenie|Authorization: GenieKey |{uuid}|
header/okta|Authorization: SSWS 00|{W40}|
header/pagerduty|Authorization: Token token=|{W20}|
header/heroku-netrc|machine api.heroku.com login me@orders.io password |{uuid}|
header/proxy|Proxy-Authorization: Basic |{B32}|
header/cookie|Cookie: sessionid=|{L32}|; theme=dark
header/set-cookie|Set-Cookie: session=|{W64}|; Path=/; HttpOnly; Secure
curl/user|curl -u admin:|{pass}| https://orders.internal/api
curl/user-long|curl --user deploy:|{pass}| https://orders.internal/api
url/postgres|postgres://app:|{pass}|@db.orders.internal:5432/app
url/postgresql|DATABASE_URL=postgresql://app:|{pass}|@10.2.3.4:5432/app?sslmode=require
url/mysql|mysql://root:|{pass}|@mysql-1:3306/shop
url/mongodb|mongodb://admin:|{pass}|@mongo-0.mongo:27017/?authSource=admin
url/mongodb-srv|MONGO_URI="mongodb+srv://app:|{pass}|@cluster0.ab1cd.mongodb.net/app?retryWrites=true"
url/redis|redis://:|{pass}|@cache.orders.internal:6379/0
url/rediss|rediss://default:|{A20}|@eu1-fit-cod-1.upstash.io:6379
url/amqp|amqp://svc:|{pass}|@rabbit:5672/vhost
url/amqps|amqps://svc:|{pass}|@b-1.mq.eu-west-1.amazonaws.com:5671
url/https|git clone https://deploy:|{pass}|@git.orders.io/team/app.git
url/https-token|https://x-access-token:|ghs_{A36}|@github.com/team/app.git
url/oauth2-git|https://oauth2:|glpat-{W20}|@gitlab.com/team/app.git
url/ftp|ftp://upload:|{pass}|@ftp.orders.io/in
url/sftp|sftp://upload:|{pass}|@files.orders.io:22/in
url/smtp|smtp://mailer:|{pass}|@smtp.orders.io:587
url/ldap|ldap://svc:|{pass}|@dc1.orders.local
url/clickhouse|clickhouse://default:|{pass}|@ch-1:9000/events
url/mssql|mssql+pyodbc://sa:|{pass}|@sql-1/app?driver=ODBC+Driver+18
url/cockroach|cockroachdb://root:|{pass}|@free-tier.gcp.cockroachlabs.cloud:26257/defaultdb
url/neo4j|neo4j+s://neo4j:|{pass}|@a1b2c3d4.databases.neo4j.io
url/cloudinary|CLOUDINARY_URL=cloudinary://{D15}:|{W27}|@orders
url/snowflake|snowflake://app:|{pass}|@ab12345.eu-central-1/db
url/sentry|SENTRY_DSN=https://|{H32}|@o123456.ingest.sentry.io/4505
url/query-token|https://api.orders.io/v1/items?access_token=|{A40}|&page=2
url/query-key|GET https://api.orders.io/v1/items?api_key=|{H32}|
url/presigned|https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA{T16}%2F20250101&X-Amz-Signature=|{H64}|
conn/ado|Server=tcp:orders.database.windows.net,1433;Initial Catalog=app;User ID=app;Password=|{pass}|;Encrypt=True;
conn/jdbc|jdbc:postgresql://db-1:5432/app?user=app&password=|{pass}|
conn/jdbc-sqlserver|jdbc:sqlserver://sql-1:1433;databaseName=app;user=sa;password=|{pass}|;
conn/libpq|host=db-1 port=5432 dbname=app user=app password=|{pass}| sslmode=require
conn/npgsql|Host=db-1;Username=app;Password=|{pass}|;Database=app
conn/oracle|Data Source=orcl;User Id=app;Password=|{pass}|;
conn/azure-storage|DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=|{B86}==|;EndpointSuffix=core.windows.net
conn/azure-bus|Endpoint=sb://orders.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=|{B43}=|
conn/azure-iot|HostName=orders.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=|{B43}=|
conn/azure-cosmos|AccountEndpoint=https://orders.documents.azure.com:443/;AccountKey=|{B86}==|;
conn/azure-appconfig|Endpoint=https://orders.azconfig.io;Id=ab1-l0-s0:{A20};Secret=|{B43}=|
conn/azure-redis|orders.redis.cache.windows.net:6380,password=|{B43}=|,ssl=True,abortConnect=False
conn/azure-sas|https://orders.blob.core.windows.net/c/f.csv?sv=2022-11-02&st=2025-01-01T00%3A00%3A00Z&sr=b&sp=r&sig=|{A40}%2B{A2}%3D|
conn/azure-publish|<publishProfile userName="$orders" userPWD="|{A60}|" />
hook/slack|https://hooks.slack.com/services/|T{U8-10}/B{U8-10}/{A24}|
hook/slack-workflow|https://hooks.slack.com/workflows/|T{U8}/A{U9}/{D18}/{A24}|
hook/discord|https://discord.com/api/webhooks/|{D18}/{W68}|
hook/discordapp|https://discordapp.com/api/webhooks/|{D19}/{W68}|
hook/teams|https://orders.webhook.office.com/webhookb2/|{uuid}@{uuid}/IncomingWebhook/{H32}/{uuid}|
hook/zapier|https://hooks.zapier.com/hooks/catch/|{D7}/{L7}|/
hook/google-chat|https://chat.googleapis.com/v1/spaces/{A11}/messages?key=AIza{W35}&token=|{W43}|
hook/telegram|https://api.telegram.org/bot|{D10}:AA{W33}|/sendMessage
hook/feishu|https://open.feishu.cn/open-apis/bot/v2/hook/|{uuid}|
hook/dingtalk|https://oapi.dingtalk.com/robot/send?access_token=|{H64}|
hook/wecom|https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=|{uuid}|
file/npmrc|//registry.npmjs.org/:_authToken=|{uuid}|
file/npmrc-auth|_auth=|{B40}|
file/netrc|machine git.orders.io login bot password |{pass}|
file/pgpass|db-1:5432:app:app:|{pass}|
file/docker-auth|{"auths": {"ghcr.io": {"auth": "|{B44}|"}}}
file/kubeconfig|    client-key-data: |{pem64}|
file/kubeconfig-token|    token: |{jwt}|
file/k8s-secret|data:\\n  password: |{B23}=|\\nkind: Secret
file/wireguard|PrivateKey = |{B43}=|
file/laravel|APP_KEY=base64:|{B43}=|
file/django|SECRET_KEY = 'django-insecure-|{A50}|'
file/rails|SECRET_KEY_BASE=|{H128}|
file/htpasswd|admin:|$apr1${A8}${A22}|
file/shadow|root:|$6${A16}${A86}|:19000:0:99999:7:::
file/pypirc|[pypi]\\nusername = __token__\\npassword = |pypi-AgEIcHlwaS5vcmc{W140}|
file/gradle|signing.password=|{pass}|
file/maven|<server><id>r</id><username>bot</username><password>|{pass}|</password></server>
file/nuget|<add key="ClearTextPassword" value="|{pass}|" />
file/ansible|ansible_become_pass: |{pass}|
file/wifi|wpa_passphrase=|{pass}|
file/my-cnf|[client]\\nuser=root\\npassword="|{pass}|"
shell/mysql|mysql -h db-1 -u root -p|{A16}1| shop
shell/sshpass|sshpass -p '|{pass}|' ssh root@host-1
shell/docker-login|docker login -u bot -p |{pass}| registry.orders.io
shell/psql|PGPASSWORD=|{pass}| psql -h db-1 app
shell/redis-cli|redis-cli -h cache -a |{pass}| ping
shell/openssl|openssl enc -aes-256-cbc -pass pass:|{pass}| -in a -out b
shell/export|export DB_PASSWORD='|{pass}|'
assign/password|password = "|{pass}|"
assign/passwd|passwd: |{pass}|
assign/pwd|PWD_PROD="|{pass}|"
assign/db-pass|DB_PASS=|{pass}|
assign/camel|dbPassword: '|{pass}|',
assign/secret|client_secret: |{A32}|
assign/api-key|api_key: "|{A32}|"
assign/api-key-hex|API_KEY=|{H32}|
assign/api-key-hex64|"apiKey": "|{H64}|"
assign/access-token|access_token=|{W40}|
assign/refresh-token|"refresh_token": "|{W64}|"
assign/private-key|private_key = "|{H64}|"
assign/encryption-key|ENCRYPTION_KEY=|{B43}=|
assign/signing|signing_secret: |{H32}|
assign/jwt-secret|JWT_SECRET=|{B64}|
assign/webhook|WEBHOOK_SECRET: "|{A40}|"
assign/credentials|credentials = ("svc", "|{pass}|")
assign/xml|<apiKey>|{A32}|</apiKey>
assign/go|const apiToken = "|{A40}|"
assign/java|private static final String API_SECRET = "|{A32}|";
assign/php|define('AUTH_KEY', '|{B64}|');
assign/ruby|config.secret_key = '|{H64}|'
assign/terraform|  master_password = "|{pass}|"
assign/properties|spring.datasource.password=|{pass}|
assign/toml|secret_key = "|{W48}|"
assign/csharp|"ClientSecret": "|{A32}|",
assign/ps1|$env:API_TOKEN = "|{A40}|"
assign/cmd|set API_TOKEN=|{A40}|
assign/flag|--api-key |{A32}|
assign/flag-eq|--token=|{A40}|
assign/flag-password|--password |{pass}|
assign/log|level=debug msg="login" user=ann password=|{pass}|
prose/password|The password is |{pass}|
prose/my-password|my password is "|{pass}|", keep it safe
prose/temp|Your temporary password: |{pass}|
prose/key|Here is my API key: |{A40}|
prose/token|use the token |{A40}| for the staging API
prose/german|Das Passwort lautet |{pass}|
prose/spanish|la contraseña es |{pass}|
prose/french|mot de passe : |{pass}|
""".strip("\n").split("\n")
