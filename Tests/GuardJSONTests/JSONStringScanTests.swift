import GuardCore
import GuardTesting
import Testing

@testable import GuardJSON

@Suite struct JSONStringScanTests {
    /// Any text put anywhere inside a string of a JSON text, as `fitting` gives it, leaves JSON; between pieces, however
    /// they are cut, the scan says the same.
    @Test func whatFitsLeavesJSON() throws {
        var random = SeededRandom(seed: 61)
        let texts = [
            #"{"a": "b\"c", "d\\": ["x", 1, "\u00e9\\"]}"#, #" ["\\\"", "", {"k": "é😀"}]"#, "\"one\"",
            "{\"a\":\"\\n\"}",
        ]
        let pieces = ["\"", "\\", "\\\"", "a", "\n", "\\u0041", "\\u00", "é", "{}", "\u{1}", "\\n"]
        var (inside, outside) = (0, 0)
        for text in texts.map({ Array($0.utf8) }) {
            #expect((try? JSONDocument(text)) != nil)
            // The slow and obvious: quotes before it that no backslash escapes.
            func isInString(_ end: Int) -> Bool {
                var count = 0
                for index in 0..<end where text[index] == UInt8(ascii: "\"") {
                    var slashes = 0
                    while index > slashes, text[index - slashes - 1] == UInt8(ascii: "\\") { slashes += 1 }
                    if slashes % 2 == 0 { count += 1 }
                }
                return count % 2 == 1
            }
            for at in 0...text.count where at == text.count || text[at] & 0xC0 != 0x80 {
                var scan = JSONStringScan()
                let cut = Int.random(in: 0...at, using: &random)
                scan.read(text[..<cut])
                scan.read(text[cut..<at])
                // Where one escape would be taken apart nothing fits.
                if at > 0, text[at - 1] == UInt8(ascii: "\\"), !isInString(at) || scan.fitting([0x22]) == [0x22] {
                    continue
                }
                if String(decoding: text[max(0, at - 6)..<at], as: UTF8.self).contains("\\u") { continue }
                for _ in 0..<8 {
                    let new = Array((0..<3).map { _ in pieces.randomElement(using: &random) ?? "" }.joined().utf8)
                    let fitted = scan.fitting(new)
                    if isInString(at) {
                        inside += 1
                        let result = Array(text[..<at]) + fitted + text[at...]
                        #expect(
                            (try? JSONDocument(result)) != nil,
                            "\(String(decoding: result, as: UTF8.self))")
                        #expect(fitted == new || fitted == JSONEscape.escaped(new))
                    } else {
                        outside += 1
                        #expect(fitted == new)
                    }
                }
            }
        }
        #expect(inside > 100 && outside > 100)
    }

    @Test func whatIsNoJSONIsLeftAlone() {
        var scan = JSONStringScan()
        scan.read(Array("say \"".utf8))
        #expect(scan.fitting([0x22]) == [0x22])
    }

    @Test(arguments: [
        ("", true), ("a é", true), ("\\n\\u00E9", true), ("\"", false), ("\\", false), ("\\x", false),
        ("\\u00g0", false),
        ("\\u00", false), ("\n", false), ("\u{7F}", true),
    ]) func contentOfStrings(_ text: String, _ isContent: Bool) {
        #expect(JSONEscape.isContent(Array(text.utf8)) == isContent)
        #expect(((try? JSONDocument(Array("\"\(text)\"".utf8))) != nil) == isContent)
    }
}
