import Testing

@testable import GuardLLMSchema

struct RouterTests {
    @Test(arguments: [
        ("/v1/chat/completions", "/v1/chat/completions"), ("/v1/chat/completions/", "/v1/chat/completions"),
        ("//v1///chat/completions//", "/v1/chat/completions"), ("/v1/./chat/completions", "/v1/chat/completions"),
        ("/v1/models/../chat/completions", "/v1/chat/completions"),
        ("/../../v1/chat/completions", "/v1/chat/completions"),
        ("/v1/%63hat/completions", "/v1/chat/completions"), ("/v1%2Fchat%2fcompletions", "/v1/chat/completions"),
        ("/v1/%2563hat/completions", "/v1/chat/completions"), ("/v1/x/%2e%2E/chat/completions", "/v1/chat/completions"),
        ("http://host:80/v1/chat/completions", "/v1/chat/completions"),
        ("HTTPS://host/v1/chat/completions?a=b", "/v1/chat/completions?a=b"),
        ("/v1/chat/completions?x=%2F..%2F&y=/../", "/v1/chat/completions?x=%2F..%2F&y=/../"),
        ("/v1/chat/completions?", "/v1/chat/completions?"),
    ])
    func spellingsOfOnePath(_ target: String, _ canonical: String) {
        #expect(
            Router(api: .vllm).route(method: "POST", target: target) == .guarded(.chatCompletions, target: canonical))
    }

    @Test(arguments: [
        "/V1/Chat/Completions", "/v1/chat/completions/batch", "/v1/chat", "/v1/chat/completions;x=1", "/metrics",
        "/collective_rpc", "/v1/fancy", "/v1/chat/completionss", "/tokenize",
    ])
    func otherPathsAreUnguarded(_ target: String) {
        guard case .unguarded(let reason, _) = Router(api: .auto).route(method: "POST", target: target) else {
            return #expect(Bool(false), "\(target) passed")
        }
        #expect(reason == .unknownPath || reason == .malformed)
    }

    @Test(arguments: [
        "", "*", "host:443", "v1/chat/completions", "/v1/chat/completions#x", "/v1/chat%", "/v1/chat%4", "/v1/%zz",
        "/v1/chat completions", "/v1/chat\tcompletions", "/v1/chat%00", "/v1/chat%0d%0acompletions", "/v1\\chat",
        "/v1/%ff", "ftp://h/v1/chat/completions", "/v1/%25252525252563hat/completions",
    ])
    func malformedTargets(_ target: String) {
        #expect(Router(api: .auto).route(method: "POST", target: target) == .unguarded(.malformed, path: ""))
    }

    @Test func methodsAndAPIs() {
        let vllm = Router(api: .vllm)
        let tgi = Router(api: .tgi)
        #expect(
            vllm.route(method: "GET", target: "/v1/chat/completions")
                == .unguarded(.methodNotAllowed, path: "/v1/chat/completions"))
        #expect(
            vllm.route(method: "post", target: "/v1/chat/completions")
                == .unguarded(.methodNotAllowed, path: "/v1/chat/completions"))
        #expect(vllm.route(method: "GET", target: "/v1/models") == .passThrough(target: "/v1/models"))
        #expect(vllm.route(method: "HEAD", target: "/health") == .passThrough(target: "/health"))
        #expect(vllm.route(method: "POST", target: "/v1/models") == .unguarded(.methodNotAllowed, path: "/v1/models"))
        #expect(vllm.route(method: "POST", target: "/generate") == .unguarded(.unknownPath, path: "/generate"))
        #expect(tgi.route(method: "POST", target: "/generate") == .guarded(.generate, target: "/generate"))
        #expect(
            tgi.route(method: "POST", target: "/generate_stream")
                == .guarded(.generateStream, target: "/generate_stream"))
        #expect(tgi.route(method: "POST", target: "/") == .guarded(.compatGenerate, target: "/"))
        #expect(tgi.route(method: "POST", target: "http://host") == .guarded(.compatGenerate, target: "/"))
        #expect(tgi.route(method: "GET", target: "/info") == .passThrough(target: "/info"))
        #expect(
            Router(api: .auto).route(method: "POST", target: "/generate") == .guarded(.generate, target: "/generate"))
        #expect(
            Router(api: .openai).route(method: "GET", target: "/metrics") == .unguarded(.unknownPath, path: "/metrics"))
    }
}
