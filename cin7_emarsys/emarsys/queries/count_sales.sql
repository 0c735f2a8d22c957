-- Desired sales lines, before anything is sent.
select count(*) as desired from mart.sales_lines
