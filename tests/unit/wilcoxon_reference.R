# Reads cases, four lines each (confidence, precision, x, y; numbers in hexadecimal), and prints one line a case:
# W p estimate low high, or what R refuses.
lines <- strsplit(readLines(input <- file("stdin")), " ", fixed = TRUE)
close(input)
for (i in seq(1, length(lines), by = 4)) {
    numbers <- lapply(lines[i:(i + 3)], as.numeric)
    said <- suppressWarnings(tryCatch({
        test <- wilcox.test(numbers[[3]], numbers[[4]], exact = FALSE, conf.int = TRUE,
                            conf.level = numbers[[1]], tol.root = numbers[[2]])
        sprintf("%.17g", c(test$statistic, test$p.value, test$estimate, test$conf.int))
    }, error = function(e) c("refused", gsub("\n", " ", conditionMessage(e)))))
    cat(said, "\n")
}
