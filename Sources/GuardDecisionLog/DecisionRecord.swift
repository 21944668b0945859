package import GuardCore

/// What happened to one request: everything that DESIGN section 5 names, nothing of what was said.
///
/// One value is made while the request runs and given to `DecisionLog.append` once, at its end. Encoded, it is one JSON
/// line whose keys stand in the order of the fields here; a value that is not known is `null`, so that the shape of a
/// line never changes.
package struct DecisionRecord: Sendable, Hashable {
    /// Also sent to the client as `x-guard-decision-id`.
    package var id: ULID
    /// The client's `x-request-id`.
    package var requestId: Label?
    /// The trace id of the client's `traceparent`, 32 hex digits.
    package var traceId: Label?
    /// When the head of the request had been read.
    package var start: Timestamp
    /// When the request ended: last byte sent, refused, or torn down.
    package var time: Timestamp
    /// The model-server API, e.g. `openai`, `tgi`.
    package var api: Label
    /// The canonical path, e.g. `/v1/chat/completions`; `unguarded` where no route was found (paths are client text).
    package var route: Label
    /// `chat`, `completion`, `metadata`, `check` ...
    package var kind: Label
    package var model: Label?
    /// Hashed where the tenant's source says `as: hash`.
    package var tenant: Label?
    /// What happened.
    package var action: Action
    /// What `enforce` would have done.
    package var wouldAction: Action
    package var mode: Mode
    /// The HTTP status that the client saw; 0 where it was gone before one was sent.
    package var status: Int
    /// Error codes (DESIGN section 6) and rule ids, most important first.
    package var reasons: [Label]
    package var policy: Policy
    package var tokens: Tokens?
    package var budget: [Budget]
    package var findings: [Finding]
    package var scan: Scan
    package var edits: [Edit]
    /// `nil` where the answer was not a stream.
    package var stream: Stream?
    package var latency: Latency

    package init(id: ULID, start: Timestamp, api: Label, route: Label, kind: Label, mode: Mode, policy: Policy) {
        self.id = id
        self.start = start
        self.time = start
        self.api = api
        self.route = route
        self.kind = kind
        self.action = .allow
        self.wouldAction = .allow
        self.mode = mode
        self.status = 0
        self.reasons = []
        self.policy = policy
        self.budget = []
        self.findings = []
        self.scan = Scan()
        self.edits = []
        self.latency = Latency()
    }
}

extension DecisionRecord {
    package struct Policy: Sendable, Hashable {
        /// SHA-256 of the bundle, 64 hex digits.
        package var hash: Label
        package var version: Label?

        package init(hash: Label, version: Label? = nil) { (self.hash, self.version) = (hash, version) }
    }

    package struct Tokens: Sendable, Hashable {
        /// Sum over all prompts of the request as it was forwarded.
        package var prompt: Int?
        /// Set where masks edited the prompt.
        package var promptBeforeEdits: Int?
        /// Charged completion tokens, summed over all choices.
        package var completion: Int?
        /// Whether the counts are what the server reports, by construction; else they are estimates.
        package var exact: Bool
        /// Why not: `unknown_field`, `image_part`, `no_tokenizer` ...
        package var why: [Label]
        package var tokenizer: Label?
        /// SHA-256 of the tokenizer's file, 64 hex digits.
        package var tokenizerHash: Label?
        package var reported: Reported?
        /// `reported.prompt - prompt`.
        package var drift: Int?

        package init(
            prompt: Int? = nil, promptBeforeEdits: Int? = nil, completion: Int? = nil, exact: Bool = true,
            why: [Label] = [], tokenizer: Label? = nil, tokenizerHash: Label? = nil, reported: Reported? = nil,
            drift: Int? = nil
        ) {
            self.prompt = prompt
            self.promptBeforeEdits = promptBeforeEdits
            self.completion = completion
            self.exact = exact
            self.why = why
            self.tokenizer = tokenizer
            self.tokenizerHash = tokenizerHash
            self.reported = reported
            self.drift = drift
        }
    }

    /// The server's own `usage`.
    package struct Reported: Sendable, Hashable {
        package var prompt: Int?
        package var completion: Int?
        package var total: Int?
        package var cached: Int?

        package init(prompt: Int? = nil, completion: Int? = nil, total: Int? = nil, cached: Int? = nil) {
            self.prompt = prompt
            self.completion = completion
            self.total = total
            self.cached = cached
        }
    }

    /// One limit of one budget as this request met it.
    package struct Budget: Sendable, Hashable {
        package var name: Label
        /// Which limit of the budget: `tokens/minute`, `requests/minute`, `concurrency`, `promptTokens` ...
        package var limit: Label
        /// The value of that limit, in tokens or requests as `limit` says; so are the fields below.
        package var limitValue: Int64
        package var reserved: Int64
        /// `nil` until settled, or where the request was refused.
        package var settled: Int64?
        /// After this request; negative where there is debt.
        package var remaining: Int64?
        /// End of the window that admitted the request.
        package var resetAt: Timestamp?

        package init(
            name: Label, limit: Label, limitValue: Int64, reserved: Int64, settled: Int64? = nil,
            remaining: Int64? = nil, resetAt: Timestamp? = nil
        ) {
            self.name = name
            self.limit = limit
            self.limitValue = limitValue
            self.reserved = reserved
            self.settled = settled
            self.remaining = remaining
            self.resetAt = resetAt
        }
    }

    package struct Scan: Sendable, Hashable {
        package var complete: Bool
        package var segments: Int
        package var bytes: Int
        package var skipped: [Skipped]

        package init(complete: Bool = true, segments: Int = 0, bytes: Int = 0, skipped: [Skipped] = []) {
            self.complete = complete
            self.segments = segments
            self.bytes = bytes
            self.skipped = skipped
        }
    }

    /// Something that no rule could read.
    package struct Skipped: Sendable, Hashable {
        package var phase: Phase
        /// Index of the segment or channel, where there is one.
        package var segment: Int?
        /// `image_part`, `unparsable_answer`, `rule:pii.card` ...
        package var kind: Label
        /// `opaque`, `match_limit`, `encoding` ...
        package var why: Label

        package init(phase: Phase, segment: Int? = nil, kind: Label, why: Label) {
            self.phase = phase
            self.segment = segment
            self.kind = kind
            self.why = why
        }
    }

    /// One change of what was forwarded, by place and length only.
    package struct Edit: Sendable, Hashable {
        /// The rule that masked; `nil` for edits of the guard itself.
        package var rule: RuleID?
        package var phase: Phase
        /// `mask`, `output_limit`, `include_usage`, `dropped_logprobs`, `dropped_token_ids` ...
        package var kind: Label
        /// Index of the segment or channel; `nil` for edits that are not of a text.
        package var segment: Int?
        /// Byte offsets into the segment's UTF-8 text before edits; empty for edits that are not of a text.
        package var range: ByteRange
        /// Bytes that stand there now.
        package var replacementBytes: Int

        package init(
            rule: RuleID? = nil, phase: Phase, kind: Label, segment: Int? = nil, range: ByteRange = 0..<0,
            replacementBytes: Int = 0
        ) {
            self.rule = rule
            self.phase = phase
            self.kind = kind
            self.segment = segment
            self.range = range
            self.replacementBytes = replacementBytes
        }
    }

    package struct Stream: Sendable, Hashable {
        package var events: Int
        package var heldBytesMax: Int
        package var heldMillisecondsMax: Int
        /// Whether the guard ended the stream.
        package var cut: Bool
        package var leakFree: Bool
        /// `done`, `blocked`, `client_gone`, `upstream_broken`, `idle_timeout`, `output_limit` ...
        package var end: Label

        package init(
            events: Int = 0, heldBytesMax: Int = 0, heldMillisecondsMax: Int = 0, cut: Bool = false,
            leakFree: Bool = true, end: Label = "done"
        ) {
            self.events = events
            self.heldBytesMax = heldBytesMax
            self.heldMillisecondsMax = heldMillisecondsMax
            self.cut = cut
            self.leakFree = leakFree
            self.end = end
        }
    }

    package struct Latency: Sendable, Hashable {
        package var guardMicroseconds: Stages
        /// From the first byte to the upstream until its last.
        package var upstreamMilliseconds: Int?
        /// From the head of the request until the first byte of the answer's body left to the client.
        package var firstByteMilliseconds: Int?

        package init(
            guardMicroseconds: Stages = Stages(), upstreamMilliseconds: Int? = nil, firstByteMilliseconds: Int? = nil
        ) {
            self.guardMicroseconds = guardMicroseconds
            self.upstreamMilliseconds = upstreamMilliseconds
            self.firstByteMilliseconds = firstByteMilliseconds
        }
    }

    /// The guard's own work, `nil` for a stage that did not run.
    package struct Stages: Sendable, Hashable {
        package var parse: Int?
        package var count: Int?
        package var rules: Int?
        package var classify: Int?

        package init(parse: Int? = nil, count: Int? = nil, rules: Int? = nil, classify: Int? = nil) {
            self.parse = parse
            self.count = count
            self.rules = rules
            self.classify = classify
        }
    }
}
