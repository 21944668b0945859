import GuardTesting
import GuardBudgets
import GuardCore
import Testing

@Suite struct TenantTests {
    /// `printf %s sk-secret | openssl dgst -sha256 -mac HMAC -macopt key:0123456789abcdef`
    static let hash = "1a9965155dc9d04d7f79997ec868e7e30cd3d7fdd77fe68fda174bfb824b7574"
    let key = TenantHashKey(Array("0123456789abcdef".utf8))

    private func resolve(_ sources: [TenantSource], known: [KnownTenant] = [], _ headers: [(String, String)]) -> Tenant
    {
        TenantResolver(sources: sources, known: known, key: key)
            .resolve(headers: headers.map { (Array($0.0.utf8), Array($0.1.utf8)) })
    }

    @Test func hashIsHMACSHA256() { #expect(key.hash(Array("sk-secret".utf8)) == Self.hash) }

    @Test func keysOfTwoProcessesDiffer() {
        #expect(TenantHashKey.perProcess().hash([1]) != TenantHashKey.perProcess().hash([1]))
    }

    @Test func noNameIsAnonymous() {
        let sources = [TenantSource(.bearer, as: .hash), TenantSource(.header("x-tenant"), as: .plain, trusted: true)]
        for headers in [
            [], [("x-tenant", "")], [("x-tenant", "  ")], [("authorization", "Basic eDp5")],
            [("authorization", "Bearer ")], [("authorization", "Bearertoken")],
        ] {
            #expect(resolve(sources, headers) == .anonymous)
        }
        #expect(resolve([], [("x-tenant", "a")]) == .anonymous)
    }

    @Test func trustedHeader() {
        let sources = [TenantSource(.header("x-tenant"), as: .plain, trusted: true)]
        let tenant = resolve(sources, [("X-Tenant", " team-a ")])
        #expect(tenant == Tenant(id: "team-a", label: "other", standing: .trusted))
        #expect(
            resolve(sources, known: [KnownTenant(name: "team-a")], [("x-tenant", "team-a")])
                == Tenant(id: "team-a", label: "team-a", standing: .known))
    }

    @Test func whatNobodyVouchesForIsUnknown() {
        let sources = [TenantSource(.header("x-tenant"), as: .plain)]
        #expect(resolve(sources, known: [KnownTenant(name: "a")], [("x-tenant", "b")]) == .unknown)
        #expect(resolve(sources, known: [KnownTenant(name: "a")], [("x-tenant", "a")]).standing == .known)
    }

    @Test func bearerTokens() {
        let sources = [TenantSource(.bearer, as: .hash)]
        let known = [KnownTenant(name: "team-a", id: Self.hash)]
        #expect(
            resolve(sources, known: known, [("Authorization", "bearer  sk-secret")])
                == Tenant(id: "team-a", label: "team-a", standing: .known))
        #expect(resolve(sources, known: known, [("Authorization", "Bearer sk-other")]) == .unknown)
        let trusted = [TenantSource(.bearer, as: .hash, trusted: true)]
        #expect(
            resolve(trusted, [("authorization", "Bearer sk-secret")])
                == Tenant(id: Self.hash, label: "other", standing: .trusted))
    }

    @Test func theFirstThatYieldsDecides() {
        let sources = [TenantSource(.bearer, as: .hash), TenantSource(.header("x-tenant"), as: .plain, trusted: true)]
        #expect(resolve(sources, [("authorization", "Bearer x"), ("x-tenant", "team-a")]) == .unknown)
        #expect(resolve(sources, [("authorization", "Basic x"), ("x-tenant", "team-a")]).id == "team-a")
    }

    @Test(arguments: ["a\u{0}b", "a\u{7F}", "a\u{FFFD}", String(repeating: "x", count: 129)])
    func oddValuesAreUnknown(value: String) {
        let sources = [TenantSource(.header("x-tenant"), as: .plain, trusted: true)]
        #expect(resolve(sources, [("x-tenant", value)]) == .unknown)
    }

    @Test func invalidBytesAreUnknown() {
        let resolver = TenantResolver(sources: [TenantSource(.header("x-tenant"), as: .plain, trusted: true)], key: key)
        #expect(resolver.resolve(headers: [(Array("x-tenant".utf8), [0x61, 0xFF])]) == .unknown)
        #expect(resolver.resolve(headers: [(Array("x-tenant".utf8), Array("é".utf8))]).id == "é")
    }

    /// Which of two lines an intermediary meant cannot be told.
    @Test func twoLinesAreUnknown() {
        let sources = [
            TenantSource(.header("x-tenant"), as: .plain, trusted: true),
            TenantSource(.bearer, as: .hash, trusted: true),
        ]
        #expect(resolve(sources, [("x-tenant", "a"), ("X-Tenant", "b")]) == .unknown)
        #expect(resolve(sources, [("authorization", "Bearer a"), ("authorization", "Bearer b")]) == .unknown)
        #expect(resolve(sources, [("authorization", "Basic a"), ("authorization", "Bearer b")]) == .unknown)
    }
}

@Suite struct GlobTests {
    @Test func equalsTheRecursiveMatcher() {
        func naive(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
            guard let first = pattern.first else { return name.isEmpty }
            if first == UInt8(ascii: "*") {
                return naive(pattern.dropFirst(), name) || (!name.isEmpty && naive(pattern, name.dropFirst()))
            }
            guard let byte = name.first else { return false }
            return (first == UInt8(ascii: "?") || first == byte) && naive(pattern.dropFirst(), name.dropFirst())
        }
        var random = SeededRandom(seed: 5)
        for _ in 0..<5000 {
            let pattern = (0..<Int.random(in: 0...7, using: &random)).map { _ in
                "ab*?".utf8.randomElement(using: &random) ?? 0
            }
            let name = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                "ab".utf8.randomElement(using: &random) ?? 0
            }
            let glob = Glob(String(decoding: pattern, as: UTF8.self))
            #expect(glob.matches(String(decoding: name, as: UTF8.self)) == naive(pattern[...], name[...]))
        }
    }

    @Test func examples() {
        #expect(Glob("meta-llama/Llama-3.1-*").matches("meta-llama/Llama-3.1-70B-Instruct"))
        #expect(!Glob("meta-llama/Llama-3.1-*").matches("meta-llama/Llama-3.2"))
        #expect(Glob("?").matches("é"))
        #expect(!Glob("?").matches("ab"))
        #expect(Glob("**").isAny)
        #expect(!Glob("").isAny)
        #expect(Glob("").matches(""))
        #expect(Glob("a").literal == [0x61])
        #expect(Glob("a?").literal == nil)
        let slow = Glob(String(repeating: "*a", count: 200))
        #expect(!slow.matches(String(repeating: "a", count: 150) + "b"))
    }
}
