import GuardChatTemplates
import GuardJSON
import GuardTokenizers

extension TokenizerInspection {
    private var specialTokens: [(name: String, content: String)] {
        if let config, !config.specialTokens.isEmpty { return config.specialTokens }
        return [("bos_token", source.tokenizer.bosToken), ("eos_token", source.tokenizer.eosToken)]
            .compactMap { name, content in content.map { (name, $0) } }
    }

    var json: [UInt8] {
        var writer = JSONWriter(reserving: 16_384)
        writer.object {
            $0.member("path", path)
            $0.member("container", container)
            if case .image(let version) = source.container {
                $0.member("imageVersion", version)
                $0.member("mapped", source.isMapped)
            }
            $0.member("format", source.tokenizer.format.rawValue)
            if let version = source.tokenizer.version { $0.member("formatVersion", version) }
            $0.member("tokenizerHash", source.tokenizer.hash)
            if let why = source.tokenizer.estimatedWhy { $0.member("estimatedWhy", why) }
            $0.key("files")
            $0.array {
                for file in source.files {
                    $0.object {
                        $0.member("role", "\(file.role)")
                        $0.member("name", file.name)
                        $0.member("sha256", file.sha256)
                        $0.member("bytes", file.bytesCount)
                    }
                }
            }
            $0.member("model", description.model)
            Self.write("modelOptions", description.modelOptions, &$0)
            $0.member("vocabularySize", description.vocabularySize)
            $0.member("tokens", description.tokensCount)
            if let merges = description.mergesCount { $0.member("merges", merges) }
            Self.write("normalizer", description.normalizer, &$0)
            Self.write("preTokenizer", description.preTokenizer, &$0)
            Self.write("decoder", description.decoder, &$0)
            Self.write("postProcessor", startAndEnd, &$0)
            $0.key("prefix")
            Self.write(description.prefix, &$0)
            $0.key("suffix")
            Self.write(description.suffix, &$0)
            $0.key("specialTokens")
            $0.object { for (name, content) in specialTokens { $0.member(name, content) } }
            $0.key("addedTokens")
            Self.write(description.addedTokens, &$0)
            $0.key("chatTemplates")
            $0.array { for template in templates { $0.object { Self.write(template, &$0) } } }
            $0.key("countingModes")
            $0.array {
                for (name, note) in countingModes {
                    $0.object {
                        $0.member("name", name)
                        if !note.isEmpty { $0.member("note", note) }
                    }
                }
            }
            $0.key("memory")
            $0.object {
                $0.member("tableBytes", description.tableBytes)
                $0.member("cacheBytesMax", description.cacheBytes)
            }
            if let most = config?.modelMaxLength { $0.member("modelMaxLength", most) }
        }
        return writer.bytes
    }

    private static func write(_ name: String, _ lines: [String], _ writer: inout JSONWriter) {
        writer.key(name)
        writer.array { for line in lines { $0.string(line) } }
    }

    private static func write(_ tokens: [TokenizerDescription.AddedToken], _ writer: inout JSONWriter) {
        writer.array {
            for token in tokens {
                $0.object {
                    $0.member("id", token.id)
                    $0.member("content", token.content)
                    if !token.flags.isEmpty { write("flags", token.flags, &$0) }
                }
            }
        }
    }

    private static func write(_ template: Template, _ writer: inout JSONWriter) {
        writer.member("name", template.name)
        writer.member("sha256", template.sha256)
        writer.member("bytes", template.bytesCount)
        writer.member("parses", template.error == nil)
        if let error = template.error { writer.member("error", error) }
        if let format = template.contentFormat { writer.member("contentFormat", format) }
        write("variables", template.variables, &writer)
    }

    // MARK: Words

    private static let tokensShown = 40

    var text: String {
        var lines = ["\(path): \(container), \(source.tokenizer.format.rawValue)"]
        if case .image(let version) = source.container {
            lines[0] += ", image version \(version), \(source.isMapped ? "tables mapped" : "holds the source file")"
        }
        if let version = source.tokenizer.version { lines[0] += ", \(version)" }
        lines.append("tokenizer hash  \(source.tokenizer.hash)")
        for file in source.files { lines.append("file            \(file.name), \(file.bytesCount) bytes, sha256 \(file.sha256)") }
        if let why = source.tokenizer.estimatedWhy { lines.append("counts          estimated: \(why)") }
        lines.append("model           " + ([description.model] + description.modelOptions).joined(separator: "; "))
        lines.append(
            "vocabulary      \(description.vocabularySize) ids, \(description.tokensCount) entries of the model"
                + (description.mergesCount.map { ", \($0) merges" } ?? ""))
        for (name, stage) in [
            ("normalizer", description.normalizer.isEmpty ? ["none"] : description.normalizer),
            ("pre-tokenizer", description.preTokenizer), ("decoder", description.decoder), ("post-processor", startAndEnd),
        ] {
            for line in stage { lines.append(name.padded(to: 16) + line) }
        }
        for (name, content) in specialTokens { lines.append(name.padded(to: 16) + content.debugDescription) }
        lines.append("added tokens    \(description.addedTokens.count)")
        for token in description.addedTokens.prefix(Self.tokensShown) {
            lines.append("  \(token.id)  \(token.content.debugDescription)  \(token.flags.joined(separator: " "))")
        }
        if description.addedTokens.count > Self.tokensShown {
            lines.append("  … \(description.addedTokens.count - Self.tokensShown) more (--format json shows all)")
        }
        if templates.isEmpty { lines.append("chat template   none" + (source.hasTemplates ? "" : " (a lone file: give the folder)")) }
        for template in templates {
            lines.append("chat template   \(template.name), \(template.bytesCount) bytes, sha256 \(template.sha256)")
            if let error = template.error {
                lines.append("  does not parse: \(error)")
            } else {
                lines.append(
                    "  parses; content as \(template.contentFormat == "openai" ? "a list of parts" : "text"); reads "
                        + template.variables.joined(separator: ", "))
            }
        }
        for (name, note) in countingModes {
            lines.append("counting        \(name)" + (note.isEmpty ? "" : " (\(note))"))
        }
        lines.append(
            "memory          \(description.tableBytes) bytes of tables, up to \(description.cacheBytes) of cache")
        return lines.joined(separator: "\n")
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        count < width ? self + String(repeating: " ", count: width - count) : self + " "
    }
}
