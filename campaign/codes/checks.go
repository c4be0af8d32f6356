package codes

// The codes of what `broadside doctor` and the processes check when they
// start; the outcome of a check, good or bad, has the code of the check.
const (
	Secrets          Code = "BS-SECRETS"
	ConfigReadable   Code = "BS-CONFIG-READABLE"
	Campaign         Code = "BS-CAMPAIGN"
	PublicURL        Code = "BS-PUBLIC-URL"
	PostalAddress    Code = "BS-POSTAL-ADDRESS"
	Accounts         Code = "BS-ACCOUNTS"
	Account          Code = "BS-ACCOUNT"
	RedisUnreachable Code = "BS-REDIS-UNREACHABLE"
	RedisEmbedded    Code = "BS-REDIS-EMBEDDED"
	RedisVersion     Code = "BS-REDIS-VERSION"
	RedisRole        Code = "BS-REDIS-ROLE"
	RedisEviction    Code = "BS-REDIS-EVICTION"
	RedisPersistence Code = "BS-REDIS-PERSISTENCE"
	RedisDisk        Code = "BS-REDIS-DISK"
	RedisMemory      Code = "BS-REDIS-MEMORY"
	RedisLatency     Code = "BS-REDIS-LATENCY"
	RedisClients     Code = "BS-REDIS-CLIENTS"
	RedisReplicas    Code = "BS-REDIS-REPLICAS"
	Clock            Code = "BS-CLOCK"
	QueuePaused      Code = "BS-QUEUE-PAUSED"
	QueueBacklog     Code = "BS-QUEUE-BACKLOG"
)

const doctorStep = "`broadside doctor` checks again."

var checkCodes = []Explanation{
	{
		Secrets, "There is no secret",
		"Readers' links are signed with `secrets`. Without one nothing can be launched and no link works.",
		[]string{"The message has a line that makes one: make it once, keep it, and give the same to every process.", doctorStep},
	},
	{
		ConfigReadable, "Others can read the configuration file",
		"Secrets and passwords stand in it, and every user of the machine can read it.",
		[]string{"Take that right away (`chmod o-r broadside.yaml`), or write ${NAME} in the file and set that variable.", doctorStep},
	},
	{
		Campaign, "A scheduled campaign may do harm",
		"It is allowed, and yet most probably not meant: a sender whose mail is taken for forgery, or a subject that is cut.",
		[]string{"The message has the line and what to write; `broadside campaign validate CAMPAIGN` shows the same of a file.", "Schedule the corrected file again: the same id replaces it.", doctorStep},
	},
	{
		PublicURL, "Readers' links lead nowhere",
		"`public_url` is what the links in a message begin with. It is not set, or `broadside web` does not answer there.",
		[]string{"Set public_url to the https address under which readers reach `broadside web`, and start it.", doctorStep},
	},
	{
		PostalAddress, "The letters have no postal address",
		"The footer of a letter says where its sender is: many countries' law wants that of mail to many, and filters look for it. `postal_address` is not set.",
		[]string{"Set postal_address to name, street and town in one line.", doctorStep},
	},
	{
		Accounts, "There is no way out",
		"No account is configured, so that nothing can be sent.",
		[]string{"Add one under accounts in broadside.yaml, or set SMTP_URL=smtp://user:password@host:587.", doctorStep},
	},
	{
		Account, "An account does not work, or is not as it should be",
		"Connecting and logging in failed, or showed something that works today and may not tomorrow.",
		[]string{checkStep, doctorStep},
	},
	{
		RedisUnreachable, "Redis does not answer",
		"It is not there, refuses the login, or cannot be read. Runs go on where they were when it is back; until then nothing is claimed and unsubscribes are answered with \"try again\".",
		[]string{"The message has the cause and what to set.", "`redis-cli -u URL ping`, from the same machine, shows whether it is the network or the settings.", doctorStep},
	},
	{
		RedisEmbedded, "The embedded store is used",
		"There is no redis_url. What is kept within the process is gone when it ends, so it sends to this machine only.",
		[]string{"Set redis_url, or REDIS_URL, to send for real.", doctorStep},
	},
	{
		RedisVersion, "Redis is too old",
		"Before 7.0 it cannot record what was sent when its memory is full, which would mail people twice.",
		[]string{"Use Redis 7.0 or newer, or Valkey.", doctorStep},
	},
	{
		RedisRole, "This Redis is not the one to write to",
		"It is a replica, or a node of a cluster that was asked as a single server.",
		[]string{"Set redis_url to the primary; the ways to write Sentinel and Cluster are in the documentation of redis_url.", doctorStep},
	},
	{
		RedisEviction, "Redis throws keys away, or did",
		"With a maxmemory-policy other than noeviction a full Redis deletes keys, among them what was sent and who unsubscribed.",
		[]string{
			"Set maxmemory-policy noeviction (CONFIG SET, and in redis.conf; with a provider in its settings). Share this Redis with no cache.",
			"If keys were evicted: compare runs with what the mail server took before you go on with them; import suppressions from a backup. `CONFIG RESETSTAT` clears the count.",
			doctorStep,
		},
	},
	{
		RedisPersistence, "Redis may forget what it acknowledged",
		"Without an append-only file that is flushed to disk every second, a crash takes minutes, or all, of what was sent and who unsubscribed.",
		[]string{"Set appendonly yes and appendfsync everysec.", "A managed Redis: take the plan that persists.", doctorStep},
	},
	{
		RedisDisk, "Redis cannot write to its disk",
		"The append-only file or the snapshot failed: the disk is full or broken, or there was no memory for the fork.",
		[]string{"Look at the log of Redis and at df of its machine.", doctorStep},
	},
	{
		RedisMemory, "Redis is short of memory",
		"A run needs its recipients, their states and what is handed out to fit. What does not fit is refused before the first recipient is written; in a full Redis outcomes are still recorded, but nothing new is sent.",
		[]string{
			"Raise maxmemory, or take a larger plan.",
			"Shorter retention.runs and retention.addresses free what earlier runs take, as they end; list versions and foreign keys take memory too: `redis-cli --bigkeys`.",
			"`broadside campaign launch C --dry-run` says what a run needs.",
			doctorStep,
		},
	},
	{
		RedisLatency, "Redis answers slowly",
		"Each message takes about one round trip to Redis and one to the mail server: a slow Redis is a slow campaign, a very slow one looks like an outage.",
		[]string{
			"Run workers and Redis in the same region.",
			"`redis-cli --latency` from there, `SLOWLOG GET`, and the load of the machine tell the network from the server.",
			doctorStep,
		},
	},
	{
		RedisClients, "Redis has few connections left",
		"A process that gets no connection cannot work, and those that have some may lose them when they connect again.",
		[]string{"Lower redis.max_connections (web and scheduler do with 3, a worker with 12), or raise maxclients, or take a larger plan.", doctorStep},
	},
	{
		RedisReplicas, "No replica confirms",
		"Something is to be sent with delivery.durability: replicated, where a claim waits for a replica, and there is none.",
		[]string{"Give Redis a replica, or set durability: fast and accept that a failover may lose the last second.", doctorStep},
	},
	{
		Clock, "This machine's clock is wrong",
		"Runs and schedules go by the clock of Redis. This one stands in the Date of messages, decides whether certificates are valid, and decides when a worker's task is late.",
		[]string{"Let NTP keep it (timedatectl, chrony), on the machine of Redis too.", doctorStep},
	},
	{
		QueuePaused, "The queue of tasks is paused",
		"Somebody paused it with a tool for asynq: no worker is handed anything.",
		[]string{"Resume it with the same tool, or delete the key that the message names. To stop a run use `broadside run pause RUN`.", doctorStep},
	},
	{
		QueueBacklog, "Tasks pile up",
		"More of them wait, or were put aside, than feeders ever hand out at once. They are only hints, and no recipient is lost with them, but something does not take them, or fails.",
		[]string{"Is a worker alive (`broadside run show RUN`), and what does its log say?", "A namespace that other programs use too: give this one its own.", doctorStep},
	},
}
